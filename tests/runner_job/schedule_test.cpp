// The order in which rules are started.
#include "runner/schedule.h"

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("rules_start_in_the_order_given", "[job]") {
  Schedule schedule({{"a", {}, false, {}}, {"b", {}, false, {}}});
  CHECK(schedule.start_next() == "a");
  CHECK(schedule.start_next() == "b");
  CHECK_FALSE(schedule.start_next().has_value());
  CHECK(schedule.all_started());
}

TEST_CASE("a_rule_waits_for_those_before_it", "[job]") {
  Schedule schedule({{"a", {"b"}, false, {}}, {"b", {}, false, {}}, {"c", {"elsewhere"}, false, {}}});
  CHECK(schedule.start_next() == "b");
  CHECK(schedule.start_next() == "c");
  CHECK_FALSE(schedule.start_next().has_value());
  schedule.finish("b");
  CHECK(schedule.start_next() == "a");
}

TEST_CASE("the_last_rules_wait_for_all_others", "[job]") {
  Schedule schedule({{"z", {}, true, {}}, {"a", {}, false, {}}, {"y", {}, true, {}}});
  CHECK(schedule.start_next() == "a");
  CHECK_FALSE(schedule.start_next().has_value());
  schedule.finish("a");
  CHECK(schedule.start_next() == "z");
  CHECK(schedule.start_next() == "y");
}

TEST_CASE("rules_that_touch_one_file_do_not_run_together", "[job]") {
  Schedule schedule({{"a", {}, false, {"/etc/x"}}, {"b", {}, false, {"/etc/x"}}, {"c", {}, false, {"/etc/y"}}});
  CHECK(schedule.start_next() == "a");
  CHECK(schedule.start_next() == "c");
  CHECK_FALSE(schedule.start_next().has_value());
  schedule.finish("a");
  CHECK(schedule.start_next() == "b");
}

TEST_CASE("a_cycle_is_refused_by_name", "[job]") {
  const Error error = test::error_of([] {
    Schedule({{"a", {"b"}, false, {}}, {"b", {"a"}, false, {}}, {"c", {}, false, {}}});
  });
  CHECK(error.code() == Code::input);
  CHECK(error.message().ends_with("a, b"));
  CHECK(test::error_of([] { Schedule({{"a", {"b"}, false, {}}, {"b", {}, true, {}}}); }).code() == Code::input);
}

}  // namespace gf
