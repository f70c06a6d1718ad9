// Whether a path is one of those that a rule or its fix names.
#include <algorithm>
#include <array>
#include <cctype>

#include "policy/named_paths.h"

namespace gf {

namespace {

// Naming one of these says nothing about what is in it.
constexpr std::array<std::string_view, 34> kBroadFolders = {"/",
                                                            "/etc",
                                                            "/usr",
                                                            "/var",
                                                            "/home",
                                                            "/root",
                                                            "/boot",
                                                            "/opt",
                                                            "/run",
                                                            "/srv",
                                                            "/mnt",
                                                            "/media",
                                                            "/tmp",
                                                            "/var/tmp",
                                                            "/dev",
                                                            "/proc",
                                                            "/sys",
                                                            "/usr/bin",
                                                            "/usr/sbin",
                                                            "/usr/lib",
                                                            "/usr/lib64",
                                                            "/usr/local",
                                                            "/usr/share",
                                                            "/usr/libexec",
                                                            "/var/lib",
                                                            "/var/cache",
                                                            "/var/spool",
                                                            "/boot/efi",
                                                            "/usr/local/bin",
                                                            "/usr/local/sbin",
                                                            "/usr/local/lib",
                                                            "/usr/local/lib64",
                                                            "/etc/systemd/system",
                                                            "/usr/lib/systemd/system"};

// A vetted `chmod -R` or `find` may walk these; all of the others are too broad even for that.
constexpr std::array<std::string_view, 6> kWalkedFolders = {"/usr/bin",   "/usr/sbin",      "/usr/lib",
                                                            "/usr/lib64", "/usr/local/bin", "/usr/local/sbin"};

bool is_broad(std::string_view folder) {
  return std::find(kBroadFolders.begin(), kBroadFolders.end(), folder) != kBroadFolders.end();
}

bool may_be_walked(std::string_view folder) {
  return !is_broad(folder) || std::find(kWalkedFolders.begin(), kWalkedFolders.end(), folder) != kWalkedFolders.end();
}

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? std::string_view("/") : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && (folder == "/" || path[folder.size()] == '/');
}

bool is_glob(std::string_view path) { return path.find_first_of("*?") != std::string_view::npos; }

// '*' of one component: classic backtracking to the last star, linear for our sizes.
bool component_matches(std::string_view glob, std::string_view name) {
  size_t g = 0, n = 0, star = std::string_view::npos, retry = 0;
  while (n < name.size()) {
    if (g < glob.size() && (glob[g] == '?' || (glob[g] == name[n] && glob[g] != '*'))) {
      ++g, ++n;
    } else if (g < glob.size() && glob[g] == '*') {
      star = g++;
      retry = n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

std::string_view first_component(std::string_view path) { return path.substr(0, path.find('/')); }

std::string_view rest_of(std::string_view path) {
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
}

bool all_alphanumeric(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

// Names that editors, sed -i, cp and the shadow tools leave next to `base`.
bool is_sibling_name(std::string_view name, std::string_view base) {
  if (name.size() == 9 && name.starts_with("sed") && all_alphanumeric(name)) return true;
  if (name.size() > base.size() && name.front() == '.' && name.substr(1).starts_with(base)) {
    const std::string_view rest = name.substr(base.size() + 1);
    return rest == ".swp" || rest == ".lock";
  }
  if (name.size() <= base.size() || !name.starts_with(base)) return false;
  static constexpr std::array<std::string_view, 13> kSuffixes = {
      "-", "~", "+", ".bak", ".backup", ".orig", ".old", ".new", ".save", ".tmp", ".rpmsave", ".rpmnew", ".lock"};
  const std::string_view suffix = name.substr(base.size());
  if (std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end()) return true;
  // mktemp's: ".aB3dE6" or ".aB3dE6gH9i", told from an ordinary extension by a digit or a capital.
  return (suffix.size() == 7 || suffix.size() == 11) && suffix.front() == '.' && all_alphanumeric(suffix.substr(1)) &&
         std::any_of(suffix.begin(), suffix.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0 || std::isupper(c) != 0; });
}

bool names(std::string_view named, std::string_view path) {
  if (named.ends_with("/**") && named.size() > 3) {
    const std::string_view folder = named.substr(0, named.size() - 3);
    if (path == folder) return true;
    return may_be_walked(folder) && !is_glob(folder) && is_below(path, folder);
  }
  if (is_glob(named)) {
    // "/home/*" is as broad as "/home".
    if (is_broad(parent_of(named)) && name_of(named).find_first_not_of("*?") == std::string_view::npos) return false;
    return matches_glob(named, path);
  }
  if (path == named) return true;
  if (parent_of(path) == named && !is_broad(named)) return true;
  return parent_of(path) == parent_of(named) && is_sibling_name(name_of(path), name_of(named));
}

}  // namespace

std::string canonical_path(std::string_view path) {
  std::string out;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (!part.empty() && part != ".") out.append("/").append(part);
    at = end + 1;
  }
  if (out.empty()) return "/";
  for (const std::string_view merged : {"/bin", "/sbin", "/lib", "/lib64"}) {
    if (out == merged || is_below(out, merged)) return "/usr" + out;
  }
  if (out == "/var/run" || is_below(out, "/var/run")) return out.substr(4);
  return out;
}

bool matches_glob(std::string_view glob, std::string_view path) {
  if (!glob.starts_with('/') || !path.starts_with('/')) return false;
  glob.remove_prefix(1);
  path.remove_prefix(1);
  while (true) {
    const std::string_view pattern = first_component(glob);
    if (pattern == "**") {
      const std::string_view later = rest_of(glob);
      if (later.empty()) return !path.empty();
      for (std::string_view tail = path; !tail.empty(); tail = rest_of(tail)) {
        if (matches_glob("/" + std::string(later), "/" + std::string(tail))) return true;
      }
      return false;
    }
    if (path.empty() || glob.empty()) return path.empty() && glob.empty();
    if (!component_matches(pattern, first_component(path))) return false;
    glob = rest_of(glob);
    path = rest_of(path);
  }
}

bool is_named(std::string_view path, std::span<const std::string> named_paths) {
  const std::string wanted = canonical_path(path);
  return std::any_of(named_paths.begin(), named_paths.end(),
                     [&](const std::string& named) { return names(canonical_path(named), wanted); });
}

bool is_parent_of_named(std::string_view folder, std::span<const std::string> named_paths) {
  const std::string wanted = canonical_path(folder);
  return std::any_of(named_paths.begin(), named_paths.end(), [&](const std::string& named) {
    const std::string path = canonical_path(named);
    const size_t star = path.find_first_of("*?");
    const std::string_view literal = std::string_view(path).substr(0, star);
    if (star == std::string::npos) return is_below(literal, wanted);
    return is_below(parent_of(literal), wanted) || parent_of(literal) == wanted;
  });
}

}  // namespace gf
