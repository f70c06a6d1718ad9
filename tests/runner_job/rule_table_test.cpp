// The bookkeeping of results and outcomes.
#include "runner/rule_table.h"

#include "tests/support/catch.h"

namespace gf {
namespace {

BenchmarkInfo three_rules() {
  BenchmarkInfo benchmark;
  for (const char* id : {"a", "b", "c"}) {
    RuleInfo rule;
    rule.id = id;
    benchmark.rules.push_back(rule);
  }
  benchmark.rules[0].read_paths = {"/etc/ssh/sshd_config"};
  benchmark.rules[1].read_paths = {"/etc/ssh"};
  benchmark.rules[2].read_paths = {"/"};
  return benchmark;
}

Change change_of(const std::string& path) {
  Change change;
  change.path = path;
  return change;
}

}  // namespace

TEST_CASE("readers_are_found_by_file_and_by_folder_but_not_by_the_root", "[job]") {
  const BenchmarkInfo benchmark = three_rules();
  const RuleTable table(benchmark, {});
  CHECK(table.readers_of({change_of("/etc/ssh/sshd_config")}, "") == std::vector<std::string>{"a", "b"});
  CHECK(table.readers_of({change_of("/etc/ssh/sshd_config")}, "a") == std::vector<std::string>{"b"});
  CHECK(table.readers_of({change_of("/etc/sshd")}, "").empty());
  CHECK(table.readers_of({change_of("/etc")}, "") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("only_a_rule_that_passed_can_be_broken", "[job]") {
  const BenchmarkInfo benchmark = three_rules();
  const RuleTable table(benchmark,
                        {{"a", XccdfResult::pass, ""}, {"b", XccdfResult::fail, ""}, {"c", XccdfResult::pass, ""}});
  const auto broken =
      table.broken_by({{"a", XccdfResult::error, ""}, {"b", XccdfResult::fail, ""}, {"c", XccdfResult::pass, ""}});
  REQUIRE(broken.size() == 1);
  CHECK(broken.front().rule_id == "a");
}

TEST_CASE("a_rule_fixed_by_anothers_change_is_credited_and_reopened_after_a_roll_back", "[job]") {
  const BenchmarkInfo benchmark = three_rules();
  RuleTable table(benchmark,
                  {{"a", XccdfResult::fail, ""}, {"b", XccdfResult::fail, ""}, {"c", XccdfResult::pass, ""}});
  table.update({{"b", XccdfResult::pass, ""}}, Origin::vetted, "passes since a");
  CHECK(table.get("b").outcome == "fixed");
  CHECK(table.get("b").fixed_by == Origin::vetted);
  CHECK(table.undecided() == std::vector<std::string>{"a", "c"});
  CHECK(table.replace({{"a", XccdfResult::fail, ""}, {"b", XccdfResult::fail, ""}, {"c", XccdfResult::pass, ""}}) ==
        std::vector<std::string>{"b"});
  CHECK(table.get("b").outcome.empty());
}

}  // namespace gf
