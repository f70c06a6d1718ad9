// Opening below a target without following links.
#include "runner/safe_path.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {

void check_target_path(std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    throw Error(Code::target, "not a path below the target: ", printable(path), ": ", why);
  };
  if (path.empty() || path.front() != '/') refuse("it does not begin with '/'");
  if (path.find('\0') != std::string_view::npos) refuse("it holds a NUL byte");
  if (path == "/") return;
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty() || part == "." || part == "..") refuse("empty, \".\" and \"..\" components are not allowed");
    rest.remove_prefix(part.size());
  }
}

std::string parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string name_of(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

bool is_within(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Place try_open_place(const Fd& root, std::string_view path) {
  check_target_path(path);
  if (path == "/") return {try_open_in_root(root, "/", O_RDONLY | O_DIRECTORY, 0, false), "."};
  return {try_open_in_root(root, parent_of(path), O_RDONLY | O_DIRECTORY, 0, false), name_of(path)};
}

Place open_place(const Fd& root, std::string_view path) {
  Place place = try_open_place(root, path);
  if (place.folder) return place;
  if (errno == ELOOP)
    throw Error(Code::target, printable(path), ": a folder on the way is a symbolic link; expected a folder");
  throw Error(Code::target, "cannot open the folder of ", printable(path), ": ", system_error(errno, "open").message());
}

Fd try_open_entry(const Fd& folder, const std::string& name) {
  return try_open_in_root(folder, name, O_PATH | O_NOFOLLOW, 0, false);
}

Fd try_open_folder(const Fd& folder, const std::string& name) {
  return try_open_in_root(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, false);
}

std::vector<std::string> names_in(const Fd& folder, std::string_view what) {
  // A descriptor of its own: reading moves its position.
  Fd own(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) throw system_error(errno, "cannot list " + printable(what));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) throw system_error(errno, "cannot list " + printable(what));
  (void)own.release();
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) throw system_error(errno, "cannot list " + printable(what));
  std::sort(names.begin(), names.end());
  return names;
}

void remove_tree(const Fd& folder, const std::string& name) {
  if (::unlinkat(folder.get(), name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw system_error(errno, "cannot remove " + printable(name));
  {
    const Fd inner = try_open_folder(folder, name);
    if (!inner) throw system_error(errno, "cannot open " + printable(name) + " to remove it");
    for (const std::string& child : names_in(inner, name)) remove_tree(inner, child);
  }
  if (::unlinkat(folder.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw system_error(errno, "cannot remove the folder " + printable(name));
}

std::string path_of(const Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

}  // namespace gf
