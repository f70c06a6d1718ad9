// Paths below a target, which is not to be trusted: every component is opened with openat2 below an
// open folder, and none of them may be a link. What was opened is then used through its descriptor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/fd.h"

namespace gf {

// "/a/b": absolute, no empty, "." or ".." component, no NUL. Throws Code::target.
void check_target_path(std::string_view path);

std::string parent_of(std::string_view path);  // "/a/b" -> "/a", "/a" -> "/"
std::string name_of(std::string_view path);    // "/a/b" -> "b"
// True if `path` is `folder` or lies below it.
bool is_within(std::string_view path, std::string_view folder);

// The folder of a path, and the name in it.
struct Place {
  Fd folder;  // O_RDONLY | O_DIRECTORY
  std::string name;
};

// Throws Code::target if the parent does not exist or a link is in the way.
Place open_place(const Fd& root, std::string_view path);
// As above; an invalid folder, with errno set, where the parent cannot be opened.
Place try_open_place(const Fd& root, std::string_view path);

// O_PATH | O_NOFOLLOW on one name in a folder: the entry itself, also a link. Invalid: errno says why.
Fd try_open_entry(const Fd& folder, const std::string& name);
// A subfolder for reading; a link in its place is an error. Invalid: errno says why.
Fd try_open_folder(const Fd& folder, const std::string& name);

// Names in an open folder, sorted by their bytes, without "." and "..".
std::vector<std::string> names_in(const Fd& folder, std::string_view what);

// Removes name and all below it, following nothing; absent is fine. Throws Code::io.
void remove_tree(const Fd& folder, const std::string& name);

// "/proc/self/fd/N": an O_PATH descriptor where a system call wants a path.
std::string path_of(const Fd& fd);

}  // namespace gf
