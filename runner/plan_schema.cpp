// The schemas of the three roles.
#include "runner/plan_schema.h"

#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

using nlohmann::json;

json text_field(size_t most, size_t least = 0) {
  return {{"type", "string"}, {"minLength", least}, {"maxLength", most}};
}

json list_of_text(size_t most_items, size_t most_characters) {
  return {{"type", "array"}, {"items", text_field(most_characters, 1)}, {"maxItems", most_items}};
}

json one_of(std::initializer_list<const char*> words) {
  json list = json::array();
  for (const char* word : words) list.push_back(word);
  return {{"type", "string"}, {"enum", list}};
}

json object_of(json properties, std::initializer_list<const char*> order) {
  json required = json::array();
  for (const char* name : order) required.push_back(name);
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

}  // namespace

json plan_schema(std::string_view rule_id) {
  // Reason and preconditions come first: what is written early steers what is written later.
  return object_of({{"rule_id", {{"type", "string"}, {"const", rule_id}}},
                    {"reason", text_field(600, 1)},
                    {"preconditions", text_field(300)},
                    {"files", list_of_text(16, 200)},
                    {"services", list_of_text(8, 80)},
                    {"backup", text_field(300)},
                    {"script", text_field(6000, 1)},
                    {"rollback", text_field(600)},
                    {"validation", text_field(300)},
                    {"needs_reboot", {{"type", "boolean"}}},
                    {"risk", one_of({"low", "medium", "high"})}},
                   {"rule_id", "reason", "preconditions", "files", "services", "backup", "script", "rollback",
                    "validation", "needs_reboot", "risk"});
}

Plan parse_plan(std::string_view text, std::string_view rule_id) {
  const json value = parse_json(text, "the model's plan");
  JsonObject object(value, "the model's plan");
  Plan plan;
  plan.rule_id = object.string("rule_id");
  if (plan.rule_id != rule_id)
    throw Error(Code::input, "the model's plan: expected the rule ", rule_id, ", found another");
  plan.reason = object.string("reason");
  plan.preconditions = object.string("preconditions");
  plan.files = object.strings("files");
  plan.services = object.strings("services");
  plan.backup = object.string("backup");
  plan.script = object.string("script");
  plan.rollback = object.string("rollback");
  plan.validation = object.string("validation");
  plan.needs_reboot = object.boolean("needs_reboot");
  plan.risk = object.string("risk");
  object.finish();
  return plan;
}

json to_json(const Plan& plan) {
  return {{"rule_id", plan.rule_id},
          {"reason", plan.reason},
          {"preconditions", plan.preconditions},
          {"files", plan.files},
          {"services", plan.services},
          {"backup", plan.backup},
          {"script", plan.script},
          {"rollback", plan.rollback},
          {"validation", plan.validation},
          {"needs_reboot", plan.needs_reboot},
          {"risk", plan.risk}};
}

json approach_schema() {
  return object_of({{"judgement", one_of({"CONTINUE", "PIVOT", "ESCALATE"})},
                    {"approach", text_field(800, 1)},
                    {"files", list_of_text(16, 200)}},
                   {"judgement", "approach", "files"});
}

json lesson_schema() {
  return object_of({{"cause", text_field(200, 1)}, {"lesson", text_field(kMaxLessonCharacters, 1)}},
                   {"cause", "lesson"});
}

}  // namespace gf
