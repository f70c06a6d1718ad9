// What strict JSON refuses, and typed reading of objects.
#include "kernels/base/strict_json.h"

#include <nlohmann/json.hpp>

#include "tests/support/catch.h"

namespace gf {
namespace {

Code code_of(std::string_view text, JsonLimits limits = {}) {
  return test::error_of([&] { parse_json(text, "x", limits); }).code();
}

}  // namespace

TEST_CASE("ill_formed_or_ambiguous_json_is_refused", "[base]") {
  CHECK(code_of(R"({"a":1,"a":2})") == Code::input);
  CHECK(code_of("{\"a\":1} x") == Code::input);
  CHECK(code_of("\xEF\xBB\xBF{}") == Code::input);
  CHECK(code_of("\"\xff\"") == Code::input);
  CHECK(code_of("[1.5]", {.floats_allowed = false}) == Code::input);
  CHECK(code_of("[1e3]", {.floats_allowed = false}) == Code::input);
  CHECK(code_of("") == Code::input);
  CHECK(code_of("{'a':1}") == Code::input);
}

TEST_CASE("json_nested_a_million_deep_is_refused", "[base]") {
  CHECK(code_of(std::string(1000000, '[')) == Code::input);
  CHECK(code_of(std::string(65, '[') + std::string(65, ']')) == Code::input);
  CHECK(parse_json(std::string(64, '[') + std::string(64, ']'), "x").is_array());
}

TEST_CASE("nested_values_arrive_unchanged", "[base]") {
  const auto value = parse_json(R"({"b":[1,{"c":[true,null,"x"]},-2],"a":{"d":1.5}})", "x");
  CHECK(canonical_json(value) == R"({"a":{"d":1.5},"b":[1,{"c":[true,null,"x"]},-2]})");
}

TEST_CASE("an_object_reader_checks_types_ranges_and_unknown_keys", "[base]") {
  const auto value = parse_json(R"({"n":5,"s":"t","extra":1})", "x");
  JsonObject object(value, "x");
  CHECK(object.integer("n", 0, 5) == 5);
  CHECK(test::error_of([&] { object.integer("n", 0, 4); }).code() == Code::input);
  CHECK(test::error_of([&] { object.string("n"); }).message() == "x.n: expected a string, found an integer");
  CHECK(object.string("s") == "t");
  CHECK(object.string_or("missing", "d") == "d");
  CHECK(test::error_of([&] { object.finish(); }).message() == "x: unknown key \"extra\"");
}

}  // namespace gf
