// Foreign text made safe for HTML, and the few elements that the report's page is made of.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace gf {

// Safe between tags and in quoted attributes. Controls, bidirectional overrides and ill-formed bytes
// become visible escapes inside <span class="ctl">, so that they differ from the same characters
// typed as text. Lines::keep (for <pre>) leaves newlines and tabs.
enum class HtmlLines { keep, escape };
std::string html(std::string_view text, HtmlLines lines = HtmlLines::escape);
// For attributes, where no element can stand: the escapes are plain text.
std::string html_attribute(std::string_view text);
// A string, a number, true or false as text; null as a dash.
std::string html(const nlohmann::json& value);

// <pre> with the text, shortened to `limit` bytes; "" for no text.
std::string html_block(std::string_view text, size_t limit);

// "<tr><td>a</td><td>b</td></tr>": the cells are HTML already.
std::string html_row(std::initializer_list<std::string> cells, std::string_view cell = "td");

}  // namespace gf
