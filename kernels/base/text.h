// Foreign text made safe to show, UTF-8, and the one time format used in files.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gf {

// Seconds since 1970-01-01T00:00:00Z.
using Time = std::chrono::sys_seconds;

Time system_time();
// RFC 3339 in UTC: "2026-11-21T05:53:00Z".
std::string format_time(Time time);
// That form only (or a plain "2026-11-21", which is its first second). Throws Code::input naming `what`.
Time parse_time(std::string_view text, std::string_view what);

// True for well-formed UTF-8: no overlong forms, surrogates or code points above 10FFFF.
bool is_valid_utf8(std::string_view text);
// The same text with every ill-formed byte replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

// Safe to print on a terminal: C0, DEL, C1 controls, bidirectional overrides and ill-formed bytes
// become visible escapes (\n, \t, \x1b, \u{202e}); Lines::keep leaves newlines as they are.
enum class Lines { keep, escape };
std::string printable(std::string_view text, Lines lines = Lines::escape);

// At most `limit` bytes of text, cut at a code point; says how much was left out.
std::string shortened(std::string_view text, size_t limit);

std::string_view trimmed(std::string_view text);  // ASCII white space off both ends

}  // namespace gf
