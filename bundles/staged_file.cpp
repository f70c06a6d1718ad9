// Temporary names, and copying that costs nothing where blocks can be shared.
#include "bundles/staged_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "kernels/base/error.h"

namespace gf {
namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;

bool kernel_cannot(int error) {
  return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == ENOTTY ||
         error == EBADF;
}

}  // namespace

StagedFile::StagedFile(const std::filesystem::path& path, Existing existing) : path_(path), existing_(existing) {
  if (path.filename().empty()) throw Error(Code::usage, "expected the name of a file, found ", path.native());
  if (existing == Existing::refuse && std::filesystem::exists(path))
    throw Error(Code::io, path.native(), " is there already: choose another name, or remove it first");
  folder_ = open_directory(path.has_parent_path() ? path.parent_path() : ".");
  temporary_ = "." + path.filename().native().substr(0, 200) + ".part-" + std::to_string(::getpid());
  file_ = Fd(::openat(folder_.get(), temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_) throw system_error(errno, "cannot create " + temporary_ + " beside " + path.native());
}

StagedFile::~StagedFile() {
  if (!temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
}

void StagedFile::commit(mode_t mode) {
  if (::fchmod(file_.get(), mode) != 0) throw system_error(errno, "cannot set the mode of " + path_.native());
  sync_file(file_, path_.native());
  const unsigned flags = existing_ == Existing::refuse ? RENAME_NOREPLACE : 0U;
  const std::string name = path_.filename().native();
  if (::renameat2(folder_.get(), temporary_.c_str(), folder_.get(), name.c_str(), flags) != 0)
    throw system_error(errno, "cannot put " + path_.native() + " in place");
  temporary_.clear();
  sync_file(folder_, "the folder of " + path_.native());
}

bool share_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t size) {
  if (size == 0) return false;
  file_clone_range range{};
  range.src_fd = from.get();
  range.src_offset = from_offset;
  range.src_length = size;
  range.dest_offset = to_offset;
  if (::ioctl(to.get(), FICLONERANGE, &range) == 0) return true;
  if (!kernel_cannot(errno)) throw system_error(errno, "cannot share blocks between files");
  return false;
}

void copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t size,
                std::string_view what) {
  if (share_range(from, from_offset, to, to_offset, size)) return;
  auto source = static_cast<off64_t>(from_offset);
  auto target = static_cast<off64_t>(to_offset);
  while (size > 0) {
    const ssize_t copied = ::copy_file_range(from.get(), &source, to.get(), &target, static_cast<size_t>(size), 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && !kernel_cannot(errno)) throw system_error(errno, "cannot copy " + std::string(what));
    if (copied <= 0) break;
    size -= static_cast<uint64_t>(copied);
  }
  std::vector<std::byte> buffer(static_cast<size_t>(std::min<uint64_t>(size, kCopyBytes)));
  while (size > 0) {
    const auto piece = std::span(buffer).first(static_cast<size_t>(std::min<uint64_t>(size, kCopyBytes)));
    pread_exactly(from, piece, static_cast<uint64_t>(source), what);
    pwrite_all(to, piece, static_cast<uint64_t>(target), what);
    source += static_cast<off64_t>(piece.size());
    target += static_cast<off64_t>(piece.size());
    size -= piece.size();
  }
}

}  // namespace gf
