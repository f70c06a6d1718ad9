// Fd and the reads, writes and opens built on it.
#include "kernels/base/fd.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "kernels/base/error.h"

namespace gf {
namespace {

std::string quoted(std::string_view verb, std::string_view what) {
  return "cannot " + std::string(verb) + " " + std::string(what);
}

Fd open_resolved(const Fd& root, std::string_view path, int flags, mode_t mode, uint64_t resolve) {
  Fd opened = try_open_in_root(root, path, flags, mode, (resolve & RESOLVE_NO_SYMLINKS) == 0);
  if (!opened) throw system_error(errno, quoted("open", path));
  return opened;
}

}  // namespace

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Fd Fd::duplicate() const {
  Fd copy(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw system_error(errno, "cannot duplicate a descriptor");
  return copy;
}

Fd open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) throw system_error(errno, quoted("open", path.native()));
  return fd;
}

Fd open_directory(const std::filesystem::path& path) { return open_file(path, O_RDONLY | O_DIRECTORY); }

Fd try_open_in_root(const Fd& root, std::string_view path, int flags, mode_t mode, bool follow_links) {
  const std::string name = path.empty() ? "." : std::string(path);
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (follow_links ? 0 : RESOLVE_NO_SYMLINKS);
  // EAGAIN: a rename elsewhere raced with ".."; the kernel asks to try again.
  for (int attempt = 0; attempt < 64; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root.get(), name.c_str(), &how, sizeof how);
    if (fd >= 0) return Fd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return Fd();
}

Fd open_in_root(const Fd& root, std::string_view path, int flags, mode_t mode) {
  return open_resolved(root, path, flags, mode, 0);
}

Fd open_in_root_without_links(const Fd& root, std::string_view path, int flags, mode_t mode) {
  return open_resolved(root, path, flags, mode, RESOLVE_NO_SYMLINKS);
}

struct stat stat_of(const Fd& fd, std::string_view what) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw system_error(errno, quoted("stat", what));
  return status;
}

void read_exactly(const Fd& fd, std::span<std::byte> bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, quoted("read", what));
    if (got == 0) throw Error(Code::corrupt, what, ": ends ", bytes.size(), " bytes early");
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
}

void pread_exactly(const Fd& fd, std::span<std::byte> bytes, uint64_t offset, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, quoted("read", what));
    if (got == 0) throw Error(Code::corrupt, what, ": ends ", bytes.size(), " bytes early");
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

void write_all(const Fd& fd, std::span<const std::byte> bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw system_error(errno, quoted("write", what));
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void pwrite_all(const Fd& fd, std::span<const std::byte> bytes, uint64_t offset, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw system_error(errno, quoted("write", what));
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
}

void sync_file(const Fd& fd, std::string_view what) {
  if (::fsync(fd.get()) != 0) throw system_error(errno, quoted("sync", what));
}

std::vector<std::byte> read_file(const Fd& fd, uint64_t limit_bytes, std::string_view what) {
  const struct stat status = stat_of(fd, what);
  if (!S_ISREG(status.st_mode)) throw Error(Code::input, what, ": expected a regular file");
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size > limit_bytes) throw Error(Code::input, what, ": expected at most ", limit_bytes, " bytes, found ", size);
  std::vector<std::byte> bytes(size);
  pread_exactly(fd, bytes, 0, what);
  return bytes;
}

std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t limit_bytes) {
  // O_NONBLOCK: a FIFO in place of the file must not stop the program.
  return read_file(open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY), limit_bytes, path.native());
}

std::string read_text_file(const std::filesystem::path& path, uint64_t limit_bytes) {
  const std::vector<std::byte> bytes = read_file(path, limit_bytes);
  return std::string(as_text(bytes));
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Fd sealed_memory(std::string_view name, std::span<const std::byte> bytes) {
  Fd fd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) throw system_error(errno, quoted("create memory for", name));
  write_all(fd, bytes, name);
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    throw system_error(errno, quoted("seal memory of", name));
  return fd;
}

}  // namespace gf
