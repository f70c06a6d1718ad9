// What no script ever changes.
#include "policy/protected_paths.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "policy/named_paths.h"

namespace gf {

namespace {

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && (folder == "/" || path[folder.size()] == '/');
}

// gf-run, gf-run.service.d, gf-run@1.timer, but not gf-running.
bool is_own_name(std::string_view component) {
  for (const std::string_view own : {"gf-run", "gf-bundle", "gf-report"}) {
    if (!component.starts_with(own)) continue;
    if (component.size() == own.size()) return true;
    if (std::isalnum(static_cast<unsigned char>(component[own.size()])) == 0) return true;
  }
  return false;
}

bool has_own_component(std::string_view path) {
  for (size_t at = 1; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (is_own_name(path.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

// A folder above something protected: removing, replacing, giving away or opening it would reach
// what is inside.
bool endangers_contents(const Change& change) {
  if (change.before.type == FileType::absent) return false;
  if (change.after.type != change.before.type) return true;
  const bool given_away = change.after.uid != change.before.uid && change.after.uid != 0;
  const bool opened =
      (change.after.mode & ~change.before.mode & 022u) != 0 ||
      (change.after.gid != change.before.gid && change.after.gid != 0 && (change.after.mode & 020u) != 0);
  return given_away || opened || change.after.xattrs != change.before.xattrs;
}

}  // namespace

std::optional<std::string> why_protected(const Change& change, const std::vector<std::string>& protected_paths) {
  const std::string path = canonical_path(change.path);
  if (has_own_component(path)) return "is one of gf-run's own files, which no script may change";
  for (const std::string& entry : protected_paths) {
    const std::string own = canonical_path(entry);
    const size_t wildcard = own.find_first_of("*?");
    if (wildcard != std::string::npos && matches_glob(own, path)) return "is protected by " + entry;
    if (path == own || is_below(path, own)) return "is protected by " + entry + ", which no script may change";
    const std::string_view literal = std::string_view(own).substr(0, wildcard);
    if ((is_below(literal, path) || path == "/") && endangers_contents(change)) {
      return "holds the protected " + entry + ", and may not be removed, replaced or opened to writers";
    }
  }
  return std::nullopt;
}

}  // namespace gf
