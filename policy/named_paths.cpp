// Finding the paths that a script or a description names. The texts are the vendor's and were
// signed; what is found here is what the model's scripts may change for that rule as well.
#include "policy/named_paths.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "policy/command_files.h"
#include "policy/script_text.h"

namespace gf {

namespace {

constexpr size_t kMaxTextBytes = 1 << 20;
constexpr size_t kMaxPaths = 2000;
constexpr size_t kMaxPathBytes = 512;
constexpr size_t kMaxExpansions = 64;

bool is_path_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("/._-+@%~*?[]{}$,:#").find(c) != std::string_view::npos;
}

// What may stand before a path: the line's start, blanks, quotes, and what ends another word.
bool may_start_after(char c) { return std::string_view(" \t\"'=(<>|;&`,:[!").find(c) != std::string_view::npos; }

bool is_quote(char c) { return c == '"' || c == '\''; }

// The raw path from `at` on: quotes inside a word go ("/etc/x.d"/*.conf), $(...) becomes '*'.
std::string read_raw_path(std::string_view line, size_t& at) {
  std::string raw;
  for (; at < line.size() && raw.size() < kMaxPathBytes; ++at) {
    const char c = line[at];
    if (is_quote(c)) {
      const bool goes_on =
          at + 1 < line.size() && (line[at + 1] == '/' || line[at + 1] == '$' || is_quote(line[at + 1]));
      if (!goes_on && !(raw.ends_with('/') && at + 1 < line.size() && is_path_char(line[at + 1]))) break;
      continue;
    }
    if (c == '\\' && at + 1 < line.size() && (line[at + 1] == '.' || line[at + 1] == '/' || line[at + 1] == '-'))
      continue;
    if (c == '$' && at + 1 < line.size() && line[at + 1] == '(') {
      const size_t close = line.find(')', at);
      if (close == std::string_view::npos) break;
      raw.push_back('*');
      at = close;
      continue;
    }
    if (c == ':' && !raw.starts_with('$') && !raw.ends_with("$")) {
      // "a:b" lists and prose; but ${X:-y} goes on.
      if (raw.rfind("${") == std::string::npos || raw.rfind('}') > raw.rfind("${")) break;
    }
    if (!is_path_char(c)) break;
    raw.push_back(c);
  }
  return raw;
}

const ScriptVariable* find(const std::vector<ScriptVariable>& variables, std::string_view name) {
  const auto found = std::find_if(variables.begin(), variables.end(),
                                  [&](const ScriptVariable& variable) { return variable.name == name; });
  return found == variables.end() ? nullptr : &*found;
}

// Replaces the first variable of `raw` by each of its values, and so on; an unknown one becomes '*'.
void expand(const std::string& raw, const std::vector<ScriptVariable>& variables, int depth,
            std::vector<std::string>& out) {
  const size_t dollar = raw.find('$');
  if (dollar == std::string::npos || out.size() >= kMaxExpansions || raw.size() > kMaxPathBytes) {
    if (dollar == std::string::npos && out.size() < kMaxExpansions) out.push_back(raw);
    return;
  }
  size_t at = dollar + 1;
  const bool braces = at < raw.size() && raw[at] == '{';
  if (braces) ++at;
  const size_t start = at;
  while (at < raw.size() && (std::isalnum(static_cast<unsigned char>(raw[at])) != 0 || raw[at] == '_')) ++at;
  const std::string_view name = std::string_view(raw).substr(start, at - start);
  if (braces) at = std::min(raw.find('}', at), raw.size() - 1) + 1;
  const std::string before = raw.substr(0, dollar);
  const std::string after = raw.substr(at);
  const ScriptVariable* variable = find(variables, name);
  if (variable == nullptr || variable->values.empty() || depth >= 6) {
    expand(before + "*" + after, variables, depth, out);
    return;
  }
  for (const std::string& value : variable->values) expand(before + value + after, variables, depth + 1, out);
}

// {a,b} as the shell does it; one level.
std::vector<std::string> with_braces(const std::string& path) {
  const size_t open = path.find('{');
  const size_t close = path.find('}', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return {path};
  std::vector<std::string> out;
  for (size_t at = open + 1; at <= close && out.size() < kMaxExpansions;) {
    const size_t end = std::min(path.find(',', at), close);
    out.push_back(path.substr(0, open) + path.substr(at, end - at) + path.substr(close + 1));
    at = end + 1;
  }
  return out;
}

// Sed addresses ('/Id') and D-Bus names look like paths too: only what lies in a folder of the file
// hierarchy standard is taken for one. /.dockerenv and /run/.containerenv are asked for by most vendor
// fixes and must never be made: rules stop applying where they are.
bool is_below_known_folder(std::string_view path) {
  static constexpr std::string_view kFolders[] = {"/boot", "/etc", "/home", "/media", "/mnt", "/opt",
                                                  "/root", "/run", "/srv",  "/tmp",   "/usr", "/var"};
  if (path == "/run/.containerenv") return false;
  return std::any_of(std::begin(kFolders), std::end(kFolders), [&](std::string_view folder) {
    return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
  });
}

// A usable path, or "" where the word was something else.
std::string cleaned(std::string path) {
  // [Ss]omething: one character each.
  for (size_t open = path.find('['); open != std::string::npos; open = path.find('[')) {
    const size_t close = path.find(']', open);
    if (close == std::string::npos) return path.substr(0, 0);
    path.replace(open, close - open + 1, "?");
  }
  while (!path.empty() && std::string_view(".,:#{}]~").find(path.back()) != std::string_view::npos && path != "/") {
    if (path.ends_with('~')) break;
    path.pop_back();
  }
  if (!path.starts_with('/') || path.starts_with("//")) return {};
  if (path.find("/../") != std::string::npos || path.ends_with("/..")) return {};
  // A variable's value may hold anything; a name with blanks, '|' or '\\' was never a path.
  const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("/._-+@~*?").find(c) != std::string_view::npos;
  });
  if (!plain) return {};
  std::string canonical = canonical_path(path);
  return is_below_known_folder(canonical) ? canonical : std::string();
}

// True where the command of this part of a line works on whole trees.
bool is_recursive(std::string_view segment) {
  const auto has_word = [&](std::string_view word) {
    for (size_t at = segment.find(word); at != std::string_view::npos; at = segment.find(word, at + 1)) {
      const bool left = at == 0 || std::string_view(" \t/(`").find(segment[at - 1]) != std::string_view::npos;
      const size_t end = at + word.size();
      if (left && (end == segment.size() || segment[end] == ' ' || segment[end] == '\t')) return true;
    }
    return false;
  };
  if (has_word("find")) return segment.find("-maxdepth 1") == std::string_view::npos;
  const bool tree_command = has_word("chmod") || has_word("chown") || has_word("chgrp") || has_word("rm") ||
                            has_word("cp") || has_word("setfacl") || has_word("restorecon") || has_word("chcon");
  if (!tree_command) return false;
  for (size_t at = segment.find(" -"); at != std::string_view::npos; at = segment.find(" -", at + 1)) {
    const std::string_view option = segment.substr(at + 2, segment.find_first_of(" \t", at + 2) - at - 2);
    if (option == "-recursive" || option == "-archive") return true;
    if (!option.starts_with('-') && option.find_first_of("rRa") != std::string_view::npos) return true;
  }
  return false;
}

// From the last separator before `at` to the next one behind it.
std::string_view segment_around(std::string_view line, size_t at) {
  const size_t before = line.find_last_of(";|&", at);
  const size_t start = before == std::string_view::npos ? 0 : before + 1;
  return line.substr(start, std::min(line.find_first_of(";|&", at), line.size()) - start);
}

void collect_line(std::string_view line, const std::vector<ScriptVariable>& variables, std::set<std::string>& found) {
  for (size_t at = 0; at < line.size();) {
    const bool starts = (line[at] == '/' || line[at] == '$') && (at == 0 || may_start_after(line[at - 1]));
    if (!starts) {
      ++at;
      continue;
    }
    if (line.substr(at, 2) == "$(") {  // its own words follow
      at += 2;
      continue;
    }
    const size_t start = at;
    const std::string raw = read_raw_path(line, at);
    at = std::max(at, start + 1);
    const bool recursive = is_recursive(segment_around(line, start));
    std::vector<std::string> paths;
    expand(raw, variables, 0, paths);
    for (const std::string& expanded : paths) {
      for (const std::string& alternative : with_braces(expanded)) {
        std::string path = cleaned(alternative);
        if (path.empty() || found.size() >= kMaxPaths) continue;
        if (recursive && path.find_first_of("*?") == std::string::npos) found.insert(path + "/**");
        found.insert(std::move(path));
      }
    }
  }
}

}  // namespace

std::vector<std::string> paths_named_in(std::string_view text) {
  text = text.substr(0, kMaxTextBytes);
  const std::vector<ScriptVariable> variables = variables_of(text);
  std::set<std::string> found;
  for (size_t at = 0; at < text.size();) {
    // A backslash at the end of a line continues it.
    std::string line;
    bool continued = true;
    while (continued && at < text.size()) {
      const size_t end = std::min(text.find('\n', at), text.size());
      std::string_view part = text.substr(at, end - at);
      at = end + 1;
      continued = part.ends_with('\\');
      if (continued) part.remove_suffix(1);
      line.append(part);
    }
    collect_line(line, variables, found);
    for (std::string& path : files_written_by_commands_in(line, variables)) found.insert(std::move(path));
  }
  return {found.begin(), found.end()};
}

}  // namespace gf
