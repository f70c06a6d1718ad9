// One entry of a tree, read and written whole: type, mode, owner, content, extended attributes,
// times. Nothing here follows a link.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/fd.h"
#include "policy/change_set.h"

namespace gf {

struct FileTimes {  // nanoseconds since 1970
  int64_t accessed_ns = 0;
  int64_t modified_ns = 0;
};

struct FoundFile {
  FileState state;  // type absent: there is none
  FileTimes times;
  int64_t changed_ns = 0;  // ctime
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t links = 0;
  Fd handle;  // O_PATH
};

enum class Content { skip, digest };

// `what` is for errors. Throws Code::io, Code::target.
FoundFile read_entry(const Fd& folder, const std::string& name, Content content, std::string_view what);
// Fills in state.content and state.size of a regular file that was found with Content::skip.
void read_content(FoundFile& found, std::string_view what);
// The file of an O_PATH descriptor, for reading.
Fd reopen_for_reading(const Fd& handle, std::string_view what);

// Attributes that this program looks at: security.*, system.posix_acl_*, user.*. Not those that
// belong to this machine's keys (security.ima, security.evm) or to overlayfs (trusted.overlay.*).
bool is_kept_attribute(std::string_view name);

// Type, mode, owner and attributes are equal. security.selinux counts only where both have one: a
// file system without labels does not differ from one with.
bool same_metadata(const FileState& a, const FileState& b);
// Type and content (bytes, link text, device number) are equal.
bool same_content(const FileState& a, const FileState& b);

// Owner, attributes and mode of the entry become those of `wanted` (a label only if it has one).
void set_metadata(const Fd& handle, const FileState& wanted, std::string_view what);
void set_times(const Fd& handle, const FileTimes& times, std::string_view what);

// Creates name, which must not exist: a directory, link, device, FIFO or regular file (its bytes
// from `content` at `offset`), with all metadata and the modification time; regular files synced.
// On an error a half-made entry may be left for the caller to remove.
struct Bytes {
  const Fd* file = nullptr;  // regular files only
  uint64_t offset = 0;
};
void make_entry(const Fd& folder, const std::string& name, const FileState& wanted, const FileTimes& times,
                Bytes content, std::string_view what);

// Copies exactly `size` bytes and returns their digest. Throws Code::corrupt on an early end.
Digest copy_bytes(const Fd& from, uint64_t from_offset, uint64_t size, const Fd& to, std::string_view what);

std::string_view type_name(FileType type);     // "regular file", "symbolic link" ...
std::string describe(const FileState& state);  // "regular file 0644 0:0 120 bytes"

}  // namespace gf
