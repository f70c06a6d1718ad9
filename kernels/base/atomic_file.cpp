// Temporary file, fsync, rename, fsync of the folder.
#include "kernels/base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>

#include "kernels/base/error.h"

namespace gf {
namespace {

std::string temporary_name(std::string_view name) {
  static std::atomic<unsigned> counter{0};
  return "." + std::string(name).substr(0, 200) + ".tmp-" + std::to_string(::getpid()) + "-" +
         std::to_string(counter++);
}

}  // namespace

void write_atomically(const Fd& folder, std::string_view name, std::span<const std::byte> bytes, mode_t mode,
                      Existing existing) {
  if (name.empty() || name.find('/') != std::string_view::npos)
    throw Error(Code::internal, "a file name, not a path, is needed: ", name);
  const std::string temporary = temporary_name(name);
  const std::string final_name(name);
  try {
    Fd file(::openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw system_error(errno, "cannot create " + final_name);
    write_all(file, bytes, final_name);
    if (::fchmod(file.get(), mode) != 0) throw system_error(errno, "cannot set the mode of " + final_name);
    sync_file(file, final_name);
    const unsigned flags = existing == Existing::refuse ? RENAME_NOREPLACE : 0U;
    if (::renameat2(folder.get(), temporary.c_str(), folder.get(), final_name.c_str(), flags) != 0)
      throw system_error(errno, "cannot put " + final_name + " in place");
  } catch (...) {
    ::unlinkat(folder.get(), temporary.c_str(), 0);
    throw;
  }
  sync_file(folder, "the folder of " + final_name);
}

void write_atomically(const std::filesystem::path& path, std::string_view text, mode_t mode, Existing existing) {
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  write_atomically(open_directory(parent), path.filename().native(), as_bytes(text), mode, existing);
}

void make_folders(const std::filesystem::path& path, mode_t mode) {
  if (path.empty() || std::filesystem::is_directory(path)) return;
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  if (parent != path) make_folders(parent, mode);
  if (path.filename().empty()) return;  // "a/b/": the parent was the folder itself
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    throw system_error(errno, "cannot create the folder " + path.native());
  sync_file(open_directory(parent), parent.native());
}

}  // namespace gf
