// The administrator's files: unknown keys, positions, relative paths.
#include "kernels/base/strict_toml.h"

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("an_unknown_key_is_refused_with_line_and_column", "[base]") {
  TomlTable table = TomlTable::parse("a = 1\n[t]\nb = 2\ncc = 3\n", "job.toml", "/");
  CHECK(table.integer("a", 0, 9) == 1);
  CHECK(table.table("t").integer("b", 0, 9) == 2);
  CHECK(test::error_of([&] { table.finish(); }).message() == "job.toml:4:1: unknown key \"cc\"");
}

TEST_CASE("syntax_errors_and_duplicate_keys_name_their_place", "[base]") {
  const Error error = test::error_of([] { TomlTable::parse("a = 1\na = 2\n", "job.toml", "/"); });
  CHECK(error.code() == Code::input);
  CHECK(error.message().starts_with("job.toml:2:"));
}

TEST_CASE("relative_paths_are_relative_to_their_file", "[base]") {
  TomlTable table = TomlTable::parse("p = \"../x/y\"\nq = \"/abs\"\n", "job.toml", "/etc/gf-run");
  CHECK(table.path("p") == "/etc/x/y");
  CHECK(table.path("q") == "/abs");
  CHECK_FALSE(table.optional_path("r").has_value());
}

TEST_CASE("types_ranges_and_choices_are_checked", "[base]") {
  TomlTable table = TomlTable::parse("n = 12\ns = \"blue\"\nl = [\"a\", 1]\n", "j", "/");
  CHECK(test::error_of([&] { table.integer("n", 0, 9); }).code() == Code::input);
  CHECK(test::error_of([&] {
          table.choice("s", {"red", "green"});
        }).message() == "j:2:5: s: expected one of red, green, found \"blue\"");
  CHECK(test::error_of([&] { table.strings("l"); }).code() == Code::input);
  CHECK(test::error_of([&] { table.string("missing"); }).code() == Code::input);
}

TEST_CASE("tables_in_lists_are_read_in_order_and_checked", "[base]") {
  TomlTable table = TomlTable::parse("[[b]]\nx = 1\n[[b]]\nx = 2\ny = 3\n", "j", "/");
  auto tables = table.tables_or_none("b");
  REQUIRE(tables.size() == 2);
  CHECK(tables[0].integer("x", 0, 9) == 1);
  CHECK(tables[1].integer("x", 0, 9) == 2);
  CHECK(test::error_of([&] { table.finish(); }).message() == "j:5:1: unknown key \"y\"");
}

}  // namespace gf
