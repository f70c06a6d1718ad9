// Matching guards.
#include "policy/guard_match.h"

#include <algorithm>
#include <cctype>

#include "kernels/base/text.h"
#include "policy/named_paths.h"

namespace gf {

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back().push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string_view short_id(std::string_view rule_id) {
  static constexpr std::string_view kPrefix = "content_rule_";
  const size_t at = rule_id.rfind(kPrefix);
  return at == std::string_view::npos ? rule_id : rule_id.substr(at + kPrefix.size());
}

const std::string* matching_word(const Guard& guard, std::string_view rule_id) {
  const std::vector<std::string> id = words_of(short_id(rule_id));
  for (const std::string& phrase : guard.rule_words) {
    const std::vector<std::string> wanted = words_of(phrase);
    if (wanted.empty()) continue;
    const auto found = std::search(id.begin(), id.end(), wanted.begin(), wanted.end());
    if (found == id.end() || (phrase.starts_with('^') && found != id.begin())) continue;
    return &phrase;
  }
  return nullptr;
}

}  // namespace

bool guards_rule(const Guard& guard, std::string_view rule_id) { return matching_word(guard, rule_id) != nullptr; }

bool guards_path(const Guard& guard, std::string_view path) {
  const std::string wanted = canonical_path(path);
  return std::any_of(guard.paths.begin(), guard.paths.end(),
                     [&](const std::string& glob) { return matches_glob(canonical_path(glob), wanted); });
}

std::optional<std::string> guarded_because(const Guard& guard, std::string_view rule_id,
                                           const std::vector<std::string>& script_views) {
  const std::string lead = "rule " + printable(rule_id) + " belongs to the guarded class " + guard.name;
  if (const std::string* word = matching_word(guard, rule_id)) return lead + " (word \"" + *word + "\" of its id)";
  for (const Pattern& pattern : guard.scripts) {
    for (const std::string& view : script_views) {
      if (pattern.found_in(view)) return lead + " (its script contains " + pattern.expression() + ")";
    }
  }
  return std::nullopt;
}

}  // namespace gf
