// Taking secrets out of text. Each kind is found by its own shape; whatever looks like one goes,
// since a hidden word costs less than a shown secret. Markers are never twice as long as the
// shortest text that they can stand for.
#include "policy/redacted.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace gf {

namespace {

constexpr std::string_view kHash = "[redacted hash]";
constexpr std::string_view kField = "[redacted]";
constexpr std::string_view kKey = "[redacted private key]";

bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// --- PEM (RFC 7468): "-----BEGIN" label "-----" ... "-----END" label "-----" ----------------------

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

// The position behind a line of that kind at `at` whose label speaks of a private key, else npos.
size_t behind_marker(std::string_view text, size_t at, std::string_view start) {
  if (text.substr(at, start.size()) != start) return std::string_view::npos;
  const size_t label = at + start.size();
  const size_t line_end = std::min(text.find('\n', label), text.size());
  const size_t close = text.find(kDashes, label);
  if (text.substr(label, std::min(close, line_end) - label).find("PRIVATE KEY") == std::string_view::npos) {
    return std::string_view::npos;
  }
  return close < line_end ? close + kDashes.size() : line_end;
}

bool looks_like_key_line(std::string_view line) {
  return line.size() >= 16 && std::all_of(line.begin(), line.end(), [](char c) {
           return is_alnum(c) || c == '+' || c == '/' || c == '=' || c == '\r' || c == ' ' || c == '\t';
         });
}

// A key whose beginning was cut off: the lines of base64 before its end marker go as well.
void drop_key_lines(std::string& out) {
  while (!out.empty()) {
    const size_t last = out.size() - (out.back() == '\n' ? 1 : 0);
    const size_t start = last == 0 ? std::string::npos : out.rfind('\n', last - 1);
    const size_t line = start == std::string::npos ? 0 : start + 1;
    std::string_view content = std::string_view(out).substr(line, last - line);
    // The last line of base64 may be short.
    if (!looks_like_key_line(content) && !(content.ends_with('=') && content.find(' ') == std::string_view::npos))
      return;
    out.resize(line);
  }
}

std::string without_keys(std::string_view text) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t dashes = text.find(kDashes, at);
    if (dashes == std::string_view::npos) break;
    out.append(text.substr(at, dashes - at));
    const size_t body = behind_marker(text, dashes, kBegin);
    const size_t stray = behind_marker(text, dashes, kEnd);
    if (body != std::string_view::npos) {
      size_t end = text.find(kEnd, body);
      size_t behind = text.size();  // cut off: everything to the end may be the key
      while (end != std::string_view::npos) {
        behind = behind_marker(text, end, kEnd);
        if (behind != std::string_view::npos) break;
        end = text.find(kEnd, end + 1);
        behind = text.size();
      }
      out.append(kKey);
      at = behind;
    } else if (stray != std::string_view::npos) {
      drop_key_lines(out);
      out.append(kKey);
      at = stray;
    } else {
      out.push_back('-');
      at = dashes + 1;
    }
  }
  return out.append(text.substr(std::min(at, text.size())));
}

// --- crypt(5): $id$...; grub.pbkdf2... ----------------------------------------------------------

// '$', also as "\$" in shell text. The length of it at `at`, or 0.
size_t dollar_at(std::string_view text, size_t at) {
  if (at < text.size() && text[at] == '$') return 1;
  return text.substr(at, 2) == "\\$" ? 2 : 0;
}

bool is_scheme(std::string_view id) {
  static constexpr std::array<std::string_view, 17> kSchemes = {
      "1", "2", "2a", "2b", "2x", "2y", "3", "5", "6", "7", "y", "gy", "md5", "sha1", "apr1", "scrypt", "sm3"};
  return std::find(kSchemes.begin(), kSchemes.end(), id) != kSchemes.end() || id.starts_with("argon2") ||
         id.starts_with("pbkdf2") || id.starts_with("sha256") || id.starts_with("sha512");
}

// Where the hash that begins at `at` ends, or `at` if there is none.
size_t behind_hash(std::string_view text, size_t at) {
  constexpr size_t kShortest = 8;  // after the scheme; "$1$2" of a shell script is not a hash
  constexpr size_t kLongestId = 16;
  const size_t first = dollar_at(text, at);
  if (first == 0) return at;
  size_t id_end = at + first;
  while (id_end < text.size() && id_end - at <= kLongestId && (is_alnum(text[id_end]) || text[id_end] == '-')) ++id_end;
  const size_t second = dollar_at(text, id_end);
  if (second == 0 || !is_scheme(text.substr(at + first, id_end - at - first))) return at;
  size_t end = id_end + second;
  const size_t start = end;
  while (end < text.size()) {
    const size_t dollar = dollar_at(text, end);
    if (dollar != 0) {
      end += dollar;
    } else if (is_alnum(text[end]) || std::string_view("./=,+-").find(text[end]) != std::string_view::npos) {
      ++end;
    } else {
      break;
    }
  }
  return end - start >= kShortest ? end : at;
}

size_t behind_grub_hash(std::string_view text, size_t at) {
  constexpr std::string_view kGrub = "grub.pbkdf2.";
  if (text.substr(at, kGrub.size()) != kGrub) return at;
  size_t end = at + kGrub.size();
  while (end < text.size() && (is_alnum(text[end]) || text[end] == '.')) ++end;
  return end;
}

std::string without_hashes(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::max(behind_hash(text, at), behind_grub_hash(text, at));
    if (end > at) {
      out.append(kHash);
      at = end;
    } else {
      out.push_back(text[at++]);
    }
  }
  return out;
}

// --- shadow(5) and passwd(5) lines -----------------------------------------------------------------

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find(':', at), line.size());
    fields.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return fields;
}

bool is_secret(std::string_view field) {
  if (field.empty() || field == "x" || field == kHash || field == kField) return false;
  return !std::all_of(field.begin(), field.end(), [](char c) { return c == '*' || c == '!'; });
}

// name:SECRET:lastchange:min:max:warn:inactive:expire: with numbers or nothing after the secret.
bool is_shadow_line(const std::vector<std::string_view>& fields, size_t name) {
  if (name + 7 >= fields.size() || fields[name].empty()) return false;
  bool some_number = false;
  for (size_t i = name + 2; i <= name + 7; ++i) {
    if (!is_digits(fields[i])) return false;
    some_number = some_number || !fields[i].empty();
  }
  return some_number;
}

// name:SECRET:uid:gid: with a secret of the old crypt's 13 characters or more.
bool is_passwd_line(const std::vector<std::string_view>& fields, size_t name) {
  if (name + 6 >= fields.size() || fields[name].empty() || fields[name + 1].size() < 13) return false;
  const auto is_number = [](std::string_view text) { return !text.empty() && is_digits(text); };
  return is_number(fields[name + 2]) && is_number(fields[name + 3]) &&
         fields[name + 1].find(' ') == std::string_view::npos;
}

void append_line(std::string& out, std::string_view line) {
  std::vector<std::string_view> fields = fields_of(line);
  // A prefix such as "/etc/shadow:" or "12:" moves the fields.
  for (size_t name = 0; name + 6 < fields.size(); ++name) {
    if (!is_shadow_line(fields, name) && !is_passwd_line(fields, name)) continue;
    if (is_secret(fields[name + 1])) fields[name + 1] = kField;
    break;
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out.push_back(':');
    out.append(fields[i]);
  }
}

std::string without_shadow_fields(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    append_line(out, text.substr(at, end - at));
    if (end < text.size()) out.push_back('\n');
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string redacted(std::string_view text) { return without_shadow_fields(without_hashes(without_keys(text))); }

}  // namespace gf
