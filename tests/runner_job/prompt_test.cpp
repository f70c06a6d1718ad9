// What the roles read and may write.
#include "runner/prompt.h"

#include <nlohmann/json.hpp>

#include "kernels/base/fd.h"
#include "runner/plan_schema.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

Tokenizer small_tokenizer() {
  return Tokenizer::parse(read_text_file(test::data_path("tokenizer/tokenizer.json"), uint64_t{64} << 20));
}

int64_t tokens(const Tokenizer& tokenizer, const std::string& text) {
  return static_cast<int64_t>(tokenizer.encode(text, Special::plain).size());
}

}  // namespace

TEST_CASE("parts_keep_their_order_when_all_fit", "[job]") {
  const Tokenizer tokenizer = small_tokenizer();
  const Assembled assembled = assemble({{"A", "one", 3}, {"B", "two", 0}}, tokenizer, 1000);
  CHECK(assembled.text == "## A\none\n\n## B\ntwo\n\n");
  CHECK(assembled.cut.empty());
}

TEST_CASE("the_least_important_part_is_cut_first_and_the_budget_holds", "[job]") {
  const Tokenizer tokenizer = small_tokenizer();
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += "a line of text, number " + std::to_string(i) + "\n";
  const std::vector<PromptPart> parts = {
      {"Long", lines, 5}, {"Short", "must stay", 0}, {"Never fits", lines + lines, 9}};
  const int64_t budget = 400;
  const Assembled assembled = assemble(parts, tokenizer, budget);
  CHECK(tokens(tokenizer, assembled.text) <= budget + 3);  // joining parts may split a token or two anew
  CHECK(assembled.text.find("must stay") != std::string::npos);
  CHECK(assembled.text.find("number 0\n") != std::string::npos);
  CHECK(assembled.text.find("number 199") == std::string::npos);
  CHECK(assembled.cut == std::vector<std::string>{"Long", "Never fits"});
}

TEST_CASE("only_the_newest_attempt_is_shown_whole_and_the_last_five_at_all", "[job]") {
  RuleInfo rule;
  rule.id = "r";
  std::vector<AttemptSummary> attempts;
  for (int i = 1; i <= 7; ++i) {
    AttemptSummary attempt;
    attempt.script = "script-" + std::to_string(i);
    attempt.lesson = "lesson-" + std::to_string(i);
    attempts.push_back(attempt);
  }
  std::string all;
  for (const PromptPart& part : rule_parts(rule, "found", attempts)) all += part.heading + "\n" + part.text + "\n";
  CHECK(all.find("script-7") != std::string::npos);
  CHECK(all.find("script-6") == std::string::npos);
  CHECK(all.find("lesson-3") != std::string::npos);
  CHECK(all.find("lesson-2") == std::string::npos);
}

TEST_CASE("a_plan_for_another_rule_or_with_another_key_is_refused", "[job]") {
  const std::string good =
      R"({"rule_id":"r","reason":"x","preconditions":"","files":["/etc/x"],"services":[],"backup":"","script":"true","rollback":"","validation":"","needs_reboot":false,"risk":"low"})";
  CHECK(parse_plan(good, "r").files == std::vector<std::string>{"/etc/x"});
  CHECK(to_json(parse_plan(good, "r")) == nlohmann::json::parse(good));
  CHECK(test::error_of([&] { parse_plan(good, "r_with_suffix"); }).code() == Code::input);
  CHECK(test::error_of([&] { parse_plan(good.substr(0, good.size() - 1) + ",\"x\":1}", "r"); }).code() == Code::input);
}

TEST_CASE("the_plan_schema_names_every_field_once_in_order", "[job]") {
  const nlohmann::json schema = plan_schema("r");
  CHECK(schema["required"].size() == schema["properties"].size());
  CHECK(schema["properties"]["rule_id"]["const"] == "r");
}

}  // namespace gf
