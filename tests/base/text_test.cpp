// Escaping, UTF-8 and times.
#include "kernels/base/text.h"

#include "tests/support/catch.h"

namespace gf {

TEST_CASE("controls_and_direction_overrides_are_escaped", "[base]") {
  CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\n");
  CHECK(printable("a\nb", Lines::keep) == "a\nb");
  CHECK(printable("x\xE2\x80\xAEy") == "x\\u{202e}y");
  CHECK(printable("\xC2\x9B") == "\\x9b");
  CHECK(printable("caf\xC3\xA9 \xff") == "caf\xC3\xA9 \\xff");
}

TEST_CASE("utf8_is_checked_as_the_standard_says", "[base]") {
  CHECK(is_valid_utf8("\xF4\x8F\xBF\xBF"));
  CHECK_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));
  CHECK_FALSE(is_valid_utf8("\xC0\x80"));
  CHECK_FALSE(is_valid_utf8("\xED\xA0\x80"));
  CHECK_FALSE(is_valid_utf8("\xE2\x82"));
  CHECK(to_valid_utf8("a\xffz") == "a\xEF\xBF\xBDz");
}

TEST_CASE("times_go_there_and_back", "[base]") {
  CHECK(format_time(parse_time("2024-02-29T23:59:58Z", "t")) == "2024-02-29T23:59:58Z");
  CHECK(format_time(parse_time("2026-11-21", "t")) == "2026-11-21T00:00:00Z");
  CHECK(format_time(Time{}) == "1970-01-01T00:00:00Z");
  for (const char* bad : {"2023-02-29", "2026-11-21 05:00:00Z", "2026-11-21T05:00:00", "2026-11-21T24:00:00Z", ""})
    CHECK(test::error_of([&] { parse_time(bad, "t"); }).code() == Code::input);
}

TEST_CASE("long_text_is_cut_at_a_code_point", "[base]") {
  CHECK(shortened("abc", 3) == "abc");
  CHECK(shortened("a\xC3\xA9z", 2) == "a [3 more bytes]");
}

}  // namespace gf
