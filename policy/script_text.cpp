// Looking at scripts without running them.
#include "policy/script_text.h"

#include <algorithm>
#include <cctype>

namespace gf {

namespace {

constexpr size_t kMaxVariables = 256;
constexpr size_t kMaxValues = 32;
constexpr size_t kMaxValueBytes = 512;
constexpr size_t kMaxViewBytes = 256 << 10;

bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

// Reads at most `most` digits of `base`; 0 digits leave `at` where it was.
unsigned read_number(std::string_view text, size_t& at, int base, size_t most) {
  unsigned value = 0;
  for (size_t i = 0; i < most && at < text.size() && digit_of(text[at]) < base; ++i) {
    value = value * static_cast<unsigned>(base) + static_cast<unsigned>(digit_of(text[at++]));
  }
  return value;
}

std::string joined_lines(std::string_view script) {
  std::string text;
  for (size_t i = 0; i < script.size(); ++i) {
    if (script[i] == '\\' && i + 1 < script.size() && script[i + 1] == '\n') {
      ++i;
      continue;
    }
    text.push_back(script[i]);
  }
  return text;
}

// \x2f, \057 and \u002f become the characters that they stand for; other backslashes go.
std::string decoded_escapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      out.push_back(text[i++]);
      continue;
    }
    const char kind = text[++i];
    size_t at = i + 1;
    unsigned value = 0;
    if (kind == 'x' || kind == 'u' || kind == 'U') {
      value = read_number(text, at, 16, kind == 'x' ? 2 : 4);
    } else if (kind >= '0' && kind <= '7') {
      at = i;
      value = read_number(text, at, 8, kind == '0' ? 4 : 3);
    }
    const bool printable = value >= 0x20 && value < 0x7f;
    // Otherwise the backslash alone is dropped.
    out.push_back(printable ? static_cast<char>(value) : kind);
    i = printable ? at : i + 1;
  }
  return out;
}

std::string without_quotes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '$' && i + 1 < text.size() && (text[i + 1] == '\'' || text[i + 1] == '"')) continue;
    if (c == '\'' || c == '"') continue;
    out.push_back(c == '\t' ? ' ' : c);
  }
  return out;
}

const ScriptVariable* find(const std::vector<ScriptVariable>& variables, std::string_view name) {
  const auto found = std::find_if(variables.begin(), variables.end(),
                                  [&](const ScriptVariable& variable) { return variable.name == name; });
  return found == variables.end() ? nullptr : &*found;
}

// ${X}, $X, ${X:-y} ... by the first value of X that is known; ${IFS} by a blank; others stay.
std::string with_variables(std::string_view text, const std::vector<ScriptVariable>& variables) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (out.size() > kMaxViewBytes) break;
    if (text[i] != '$' || i + 1 >= text.size()) {
      out.push_back(text[i++]);
      continue;
    }
    const bool braces = text[i + 1] == '{';
    size_t at = i + (braces ? 2 : 1);
    const size_t start = at;
    if (at < text.size() && (text[at] == '@' || text[at] == '*')) {
      i = at + 1 + (braces && at + 1 < text.size() && text[at + 1] == '}' ? 1 : 0);
      continue;
    }
    while (at < text.size() && is_name(text[at])) ++at;
    const std::string_view name = text.substr(start, at - start);
    const ScriptVariable* variable = find(variables, name);
    if (name != "IFS" && (variable == nullptr || variable->values.empty())) {
      out.push_back(text[i++]);
      continue;
    }
    out += name == "IFS" ? std::string(" ") : variable->values.front();
    if (braces) at = std::min(text.find('}', at), text.size() - 1) + 1;
    i = at;
  }
  return out;
}

std::string_view line_at(std::string_view text, size_t& at) {
  const size_t end = std::min(text.find('\n', at), text.size());
  const std::string_view line = text.substr(at, end - at);
  at = end + 1;
  return line;
}

// One word from `at` on, quotes removed; `at` ends behind it.
std::string read_word(std::string_view text, size_t& at) {
  std::string word;
  char quote = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word.push_back(c);
      }
      continue;
    }
    if (c == '\'' || c == '"') {
      quote = c;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0 ||
               std::string_view(";&|()<>`").find(c) != std::string_view::npos) {
      break;
    } else {
      word.push_back(c);
    }
    if (word.size() > kMaxValueBytes) break;
  }
  return word;
}

void remember(std::vector<ScriptVariable>& variables, std::string_view name, std::string value) {
  if (value.size() > kMaxValueBytes) return;
  auto found = std::find_if(variables.begin(), variables.end(),
                            [&](const ScriptVariable& variable) { return variable.name == name; });
  if (found == variables.end()) {
    if (variables.size() >= kMaxVariables) return;
    variables.push_back({std::string(name), {}});
    found = variables.end() - 1;
  }
  if (found->values.size() < kMaxValues) found->values.push_back(std::move(value));
}

void remember_words(std::vector<ScriptVariable>& variables, std::string_view name, std::string_view text, size_t at) {
  while (at < text.size()) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n')) ++at;
    const size_t start = at;
    std::string word = read_word(text, at);
    if (at == start) return;  // ';', ')' or the end
    if (word == "do") return;
    remember(variables, name, std::move(word));
  }
}

void read_for(std::vector<ScriptVariable>& variables, std::string_view line, size_t at) {
  while (at < line.size() && line[at] == ' ') ++at;
  const size_t start = at;
  while (at < line.size() && is_name(line[at])) ++at;
  const std::string_view name = line.substr(start, at - start);
  while (at < line.size() && line[at] == ' ') ++at;
  if (name.empty() || line.substr(at, 3) != "in ") return;
  remember_words(variables, name, line, at + 3);
}

}  // namespace

std::vector<ScriptVariable> variables_of(std::string_view script) {
  std::vector<ScriptVariable> variables;
  for (size_t at = 0; at < script.size();) {
    const size_t line_start = at;
    const std::string_view line = line_at(script, at);
    for (size_t i = 0; i < line.size(); ++i) {
      const bool word_start = i == 0 || std::string_view(" \t;&|({").find(line[i - 1]) != std::string_view::npos;
      if (!word_start || !is_name_start(line[i])) continue;
      if (line.substr(i, 4) == "for ") read_for(variables, line, i + 4);
      size_t end = i;
      while (end < line.size() && is_name(line[end])) ++end;
      const std::string_view name = line.substr(i, end - i);
      if (end < line.size() && line[end] == '+') ++end;
      if (end >= line.size() || line[end] != '=') continue;
      ++end;
      if (end < line.size() && line[end] == '(') {
        // An array may go on over several lines.
        remember_words(variables, name, script, line_start + end + 1);
        continue;
      }
      remember(variables, name, read_word(line, end));
    }
  }
  return variables;
}

std::vector<std::string> pattern_views_of(std::string_view script) {
  std::vector<std::string> views = {std::string(script)};
  std::string text = joined_lines(script);
  const std::vector<ScriptVariable> variables = variables_of(text);
  // Twice, since a variable's value may name another one.
  for (int round = 0; round < 2; ++round) text = with_variables(text, variables);
  text = without_quotes(decoded_escapes(text));
  if (text != views.front()) views.push_back(std::move(text));
  return views;
}

}  // namespace gf
