// Descriptors that close themselves, exact reads and writes, and opening that cannot be led
// out of a folder by a link.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }
  [[nodiscard]] int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);
  [[nodiscard]] Fd duplicate() const;  // close-on-exec

 private:
  int fd_ = -1;
};

// Opens with O_CLOEXEC added. Throws Code::io with the path.
Fd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);
Fd open_directory(const std::filesystem::path& path);

// openat2 below `root`. Neither "..", an absolute link nor a magic link leaves it
// (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS). `path` may begin with '/', which then means `root`.
Fd open_in_root(const Fd& root, std::string_view path, int flags, mode_t mode = 0);
// The same with RESOLVE_NO_SYMLINKS as well: no component may be a link.
Fd open_in_root_without_links(const Fd& root, std::string_view path, int flags, mode_t mode = 0);
// As above, but an invalid Fd with errno set instead of an Error.
Fd try_open_in_root(const Fd& root, std::string_view path, int flags, mode_t mode, bool follow_links);

struct stat stat_of(const Fd& fd, std::string_view what);

// Exactly bytes.size() bytes, or an Error (Code::corrupt on an early end).
void read_exactly(const Fd& fd, std::span<std::byte> bytes, std::string_view what);
void pread_exactly(const Fd& fd, std::span<std::byte> bytes, uint64_t offset, std::string_view what);
void write_all(const Fd& fd, std::span<const std::byte> bytes, std::string_view what);
void pwrite_all(const Fd& fd, std::span<const std::byte> bytes, uint64_t offset, std::string_view what);
void sync_file(const Fd& fd, std::string_view what);

// Whole file; refuses (Code::input) a file larger than `limit_bytes` or one that is not regular.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t limit_bytes);
std::vector<std::byte> read_file(const Fd& fd, uint64_t limit_bytes, std::string_view what);
std::string read_text_file(const std::filesystem::path& path, uint64_t limit_bytes);

std::span<const std::byte> as_bytes(std::string_view text);
std::string_view as_text(std::span<const std::byte> bytes);

// A memfd that can be neither written, grown nor shrunk any more, holding `bytes`.
Fd sealed_memory(std::string_view name, std::span<const std::byte> bytes);

}  // namespace gf
