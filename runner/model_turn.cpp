// Asking the roles.
#include "runner/model_turn.h"

#include <nlohmann/json.hpp>

#include "kernels/base/strict_json.h"
#include "runner/models.h"

namespace gf {
namespace {

// Seeds follow from the job's seed, the rule and the attempt, so that a run can be repeated whatever else
// ran at the same time.
uint64_t seed_of(const RunContext& run, const RuleRecord& record, std::string_view role) {
  const Digest digest = sha384(std::to_string(run.manifest.seed) + "\n" + record.info->id + "\n" +
                               std::to_string(record.attempts) + "\n" + std::string(role));
  uint64_t seed = 0;
  for (size_t i = 0; i < sizeof seed; ++i) seed = (seed << 8) | std::to_integer<uint64_t>(digest.bytes[i]);
  return seed;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace

ModelTurn ask_for_plan(const RunContext& run, const RuleRecord& record, const std::function<bool()>& cancelled) {
  ModelTurn turn;
  std::vector<PromptPart> parts = rule_parts(*record.info, record.evidence, record.history);
  if (run.models->has(RoleKind::architect)) {
    const Models::Answer answer =
        run.models->ask(RoleKind::architect, approach_schema(), parts, seed_of(run, record, "architect"), cancelled);
    if (!answer.json.empty()) {
      const nlohmann::json value = parse_json(answer.json, "the architect's answer");
      JsonObject object(value, "the architect's answer");
      turn.escalated = object.string("judgement") == "ESCALATE";
      parts.push_back(
          {"The architect's approach", object.string("approach") + "\nFiles:\n" + joined(object.strings("files")), 1});
    }
  }
  const Models::Answer answer =
      run.models->ask(RoleKind::worker, plan_schema(record.info->id), parts, seed_of(run, record, "worker"), cancelled);
  if (answer.json.empty()) {
    turn.reason = answer.reason;
    return turn;
  }
  try {
    turn.plan = parse_plan(answer.json, record.info->id);
  } catch (const Error& error) {
    turn.reason = error.what();
  }
  return turn;
}

std::string ask_for_lesson(const RunContext& run, const RuleRecord& record, const std::function<bool()>& cancelled) {
  if (!run.models->has(RoleKind::reflector)) return "";
  const Models::Answer answer =
      run.models->ask(RoleKind::reflector, lesson_schema(), rule_parts(*record.info, record.evidence, record.history),
                      seed_of(run, record, "reflector"), cancelled);
  if (answer.json.empty()) return "";
  const nlohmann::json value = parse_json(answer.json, "the reflector's answer");
  JsonObject object(value, "the reflector's answer");
  return object.string("lesson");
}

}  // namespace gf
