// Escaping, once and in one place.
#include "runner/html_text.h"

#include <nlohmann/json.hpp>

#include "kernels/base/text.h"

namespace gf {
namespace {

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '&': out += "&amp;"; return;
    case '<': out += "&lt;"; return;
    case '>': out += "&gt;"; return;
    case '"': out += "&quot;"; return;
    case '\'': out += "&#39;"; return;
    default: out += c;
  }
}

// Bytes of the character at the front, as its first byte announces them.
size_t announced_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return std::min(length, text.size());
}

}  // namespace

std::string html(std::string_view text, HtmlLines lines) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const bool plain =
        (first >= 0x20 && first < 0x7F) || (lines == HtmlLines::keep && (first == '\n' || first == '\t'));
    if (plain) {
      append_escaped(out, text[0]);
      text.remove_prefix(1);
      continue;
    }
    // One character, or, where it is ill-formed, the one byte that begins it.
    size_t length = announced_length(text);
    if (!is_valid_utf8(text.substr(0, length))) length = 1;
    const std::string_view character = text.substr(0, length);
    const std::string shown = printable(character);
    out += shown == character ? shown : "<span class=\"ctl\">" + shown + "</span>";
    text.remove_prefix(length);
  }
  return out;
}

std::string html_attribute(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) append_escaped(out, c);
  return out;
}

std::string html(const nlohmann::json& value) {
  if (value.is_null()) return "&ndash;";
  if (value.is_string()) return html(std::string_view(value.get_ref<const std::string&>()));
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return html(std::string_view(value.dump()));
}

std::string html_block(std::string_view text, size_t limit) {
  if (trimmed(text).empty()) return "";
  return "<pre>" + html(shortened(text, limit), HtmlLines::keep) + "</pre>\n";
}

std::string html_row(std::initializer_list<std::string> cells, std::string_view cell) {
  std::string row = "<tr>";
  for (const std::string& text : cells) {
    row += "<";
    row += cell;
    row += ">" + text + "</";
    row += cell;
    row += ">";
  }
  return row + "</tr>\n";
}

}  // namespace gf
