// Reading and making one entry of a tree.
#include "runner/target_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/safe_path.h"

namespace gf {
namespace {

constexpr std::string_view kLabel = "security.selinux";

int64_t in_ns(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

timespec from_ns(int64_t ns) {
  int64_t seconds = ns / 1'000'000'000;
  int64_t rest = ns % 1'000'000'000;
  if (rest < 0) {
    rest += 1'000'000'000;
    --seconds;
  }
  return {static_cast<time_t>(seconds), static_cast<long>(rest)};
}

FileType type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileType::regular;
    case S_IFDIR: return FileType::directory;
    case S_IFLNK: return FileType::symlink;
    case S_IFCHR: return FileType::character_device;
    case S_IFBLK: return FileType::block_device;
    case S_IFIFO: return FileType::fifo;
    default: return FileType::socket;
  }
}

Error failed(std::string_view verb, std::string_view what) {
  return system_error(errno, "cannot " + std::string(verb) + " " + printable(what));
}

std::map<std::string, std::string> read_attributes(const Fd& handle, std::string_view what) {
  const std::string path = path_of(handle);
  std::vector<char> names(4096);
  ssize_t length = ::listxattr(path.c_str(), names.data(), names.size());
  if (length < 0 && errno == ERANGE) {
    names.resize(65536);
    length = ::listxattr(path.c_str(), names.data(), names.size());
  }
  if (length < 0 && (errno == EOPNOTSUPP || errno == EPERM)) return {};
  if (length < 0) throw failed("list the attributes of", what);
  std::map<std::string, std::string> found;
  std::string value(65536, '\0');
  for (const char* name = names.data(); name < names.data() + length; name += std::string_view(name).size() + 1) {
    if (!is_kept_attribute(name)) continue;
    const ssize_t size = ::getxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) continue;
    if (size < 0) throw failed("read an attribute of", what);
    found.emplace(name, value.substr(0, static_cast<size_t>(size)));
  }
  return found;
}

void set_attributes(const Fd& handle, const FileState& wanted, std::string_view what) {
  const std::string path = path_of(handle);
  const std::map<std::string, std::string> present = read_attributes(handle, what);
  for (const auto& [name, value] : present) {
    if (name == kLabel || wanted.xattrs.contains(name)) continue;
    if (::removexattr(path.c_str(), name.c_str()) != 0 && errno != ENODATA)
      throw failed("remove an attribute of", what);
  }
  for (const auto& [name, value] : wanted.xattrs) {
    const auto found = present.find(name);
    if (found != present.end() && found->second == value) continue;
    if (::setxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) != 0)
      throw failed("set the attribute " + name + " of", what);
  }
}

mode_t format_of(FileType type) {
  switch (type) {
    case FileType::character_device: return S_IFCHR;
    case FileType::block_device: return S_IFBLK;
    case FileType::fifo: return S_IFIFO;
    default: return S_IFSOCK;
  }
}

void make_regular(const Fd& folder, const std::string& name, const FileState& wanted, const FileTimes& times,
                  Bytes content, std::string_view what) {
  const Fd file(::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw failed("create", what);
  if (wanted.size > 0 && content.file == nullptr)
    throw Error(Code::internal, printable(what), ": no bytes to write it from");
  if (wanted.size > 0) {
    const Digest written = copy_bytes(*content.file, content.offset, wanted.size, file, what);
    if (written != wanted.content)
      throw Error(Code::corrupt, printable(what), ": expected content ", wanted.content.hex(), ", found ",
                  written.hex());
  }
  set_metadata(file, wanted, what);
  set_times(file, times, what);
  sync_file(file, printable(what));
}

}  // namespace

bool is_kept_attribute(std::string_view name) {
  if (name == "security.ima" || name == "security.evm") return false;
  return name.starts_with("security.") || name.starts_with("user.") || name.starts_with("system.posix_acl_");
}

FoundFile read_entry(const Fd& folder, const std::string& name, Content content, std::string_view what) {
  FoundFile found;
  found.handle = name == "." ? folder.duplicate() : try_open_entry(folder, name);
  if (!found.handle) {
    if (errno == ENOENT || errno == ENOTDIR) return found;
    throw failed("open", what);
  }
  const struct stat status = stat_of(found.handle, printable(what));
  FileState& state = found.state;
  state.type = type_of(status.st_mode);
  state.mode = static_cast<uint32_t>(status.st_mode & 07777);
  state.uid = status.st_uid;
  state.gid = status.st_gid;
  found.times = {in_ns(status.st_atim), in_ns(status.st_mtim)};
  found.changed_ns = in_ns(status.st_ctim);
  found.device = status.st_dev;
  found.inode = status.st_ino;
  found.links = status.st_nlink;
  if (state.type == FileType::regular) state.size = static_cast<uint64_t>(status.st_size);
  if (state.type == FileType::character_device || state.type == FileType::block_device)
    state.device_number = status.st_rdev;
  if (state.type == FileType::symlink) {
    std::array<char, 4097> text{};
    const ssize_t length = ::readlinkat(found.handle.get(), "", text.data(), text.size());
    if (length < 0) throw failed("read the link", what);
    state.link_target.assign(text.data(), static_cast<size_t>(length));
    state.size = state.link_target.size();
    state.content = sha384(state.link_target);
  }
  state.xattrs = read_attributes(found.handle, what);
  if (content == Content::digest) read_content(found, what);
  return found;
}

Fd reopen_for_reading(const Fd& handle, std::string_view what) {
  Fd file(::open(path_of(handle).c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) throw failed("open", what);
  return file;
}

void read_content(FoundFile& found, std::string_view what) {
  if (found.state.type != FileType::regular) return;
  const Fd file = reopen_for_reading(found.handle, what);
  // Not sha384_of_file: the size that was hashed has to be the size that is reported.
  Sha384 hash;
  std::vector<std::byte> buffer(std::min<uint64_t>(found.state.size + 1, 1 << 18));
  uint64_t size = 0;
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw failed("read", what);
    if (got == 0) break;
    hash.update(std::span(buffer).first(static_cast<size_t>(got)));
    size += static_cast<uint64_t>(got);
  }
  found.state.size = size;
  found.state.content = hash.finish();
}

bool same_metadata(const FileState& a, const FileState& b) {
  if (a.type != b.type) return false;
  if (a.type == FileType::absent) return true;
  if (a.uid != b.uid || a.gid != b.gid) return false;
  if (a.type != FileType::symlink && a.mode != b.mode) return false;
  auto one = a.xattrs;
  auto other = b.xattrs;
  if (!one.contains(std::string(kLabel)) || !other.contains(std::string(kLabel))) {
    one.erase(std::string(kLabel));
    other.erase(std::string(kLabel));
  }
  return one == other;
}

bool same_content(const FileState& a, const FileState& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case FileType::regular: return a.size == b.size && a.content == b.content;
    case FileType::symlink: return a.link_target == b.link_target;
    case FileType::character_device:
    case FileType::block_device: return a.device_number == b.device_number;
    default: return true;
  }
}

void set_metadata(const Fd& handle, const FileState& wanted, std::string_view what) {
  // Owner first: a change of owner takes setuid bits and file capabilities away. Mode last: an
  // access control list changes the group's bits.
  const struct stat status = stat_of(handle, printable(what));
  if ((status.st_uid != wanted.uid || status.st_gid != wanted.gid) &&
      ::fchownat(handle.get(), "", wanted.uid, wanted.gid, AT_EMPTY_PATH) != 0)
    throw failed("set the owner of", what);
  set_attributes(handle, wanted, what);
  if (wanted.type != FileType::symlink && ::chmod(path_of(handle).c_str(), wanted.mode) != 0)
    throw failed("set the mode of", what);
}

void set_times(const Fd& handle, const FileTimes& times, std::string_view what) {
  const std::array<timespec, 2> both = {from_ns(times.accessed_ns), from_ns(times.modified_ns)};
  if (::utimensat(AT_FDCWD, path_of(handle).c_str(), both.data(), 0) != 0) throw failed("set the times of", what);
}

void make_entry(const Fd& folder, const std::string& name, const FileState& wanted, const FileTimes& times,
                Bytes content, std::string_view what) {
  if (wanted.type == FileType::regular) return make_regular(folder, name, wanted, times, content, what);
  int made = -1;
  if (wanted.type == FileType::directory) made = ::mkdirat(folder.get(), name.c_str(), 0700);
  if (wanted.type == FileType::symlink) made = ::symlinkat(wanted.link_target.c_str(), folder.get(), name.c_str());
  if (made != 0 && wanted.type != FileType::directory && wanted.type != FileType::symlink)
    made = ::mknodat(folder.get(), name.c_str(), format_of(wanted.type) | 0600, wanted.device_number);
  if (made != 0) throw failed("create", what);
  const Fd handle = try_open_entry(folder, name);
  if (!handle) throw failed("open", what);
  set_metadata(handle, wanted, what);
  set_times(handle, times, what);
}

Digest copy_bytes(const Fd& from, uint64_t from_offset, uint64_t size, const Fd& to, std::string_view what) {
  Sha384 hash;
  std::vector<std::byte> buffer(std::min<uint64_t>(size, 1 << 18));
  for (uint64_t done = 0; done < size;) {
    const auto part = std::span(buffer).first(std::min<uint64_t>(buffer.size(), size - done));
    pread_exactly(from, part, from_offset + done, printable(what));
    hash.update(part);
    write_all(to, part, printable(what));
    done += part.size();
  }
  return hash.finish();
}

std::string_view type_name(FileType type) {
  switch (type) {
    case FileType::absent: return "nothing";
    case FileType::regular: return "regular file";
    case FileType::directory: return "folder";
    case FileType::symlink: return "symbolic link";
    case FileType::character_device: return "character device";
    case FileType::block_device: return "block device";
    case FileType::fifo: return "named pipe";
    case FileType::socket: return "socket";
  }
  return "unknown";
}

std::string describe(const FileState& state) {
  std::string text(type_name(state.type));
  if (state.type == FileType::absent) return text;
  std::array<char, 16> mode{};
  std::snprintf(mode.data(), mode.size(), " %04o", state.mode);
  text += mode.data();
  text += " " + std::to_string(state.uid) + ":" + std::to_string(state.gid);
  if (state.type == FileType::regular)
    text += " " + std::to_string(state.size) + " bytes, sha384 " + state.content.hex().substr(0, 16);
  if (state.type == FileType::symlink) text += " -> " + printable(state.link_target);
  return text;
}

}  // namespace gf
