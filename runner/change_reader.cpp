// Walking the upper layers, the target and the merged tree side by side.
#include "runner/change_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "policy/named_paths.h"
#include "runner/safe_path.h"
#include "runner/target_file.h"

namespace gf {
namespace {

constexpr const char* kLabel = "security.selinux";

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == 0; }

bool has_attribute(const Fd& handle, const char* name, std::string_view value = {}) {
  std::array<char, 256> found{};
  const ssize_t size = ::getxattr(path_of(handle).c_str(), name, found.data(), found.size());
  if (size < 0) return errno == ERANGE;
  return value.empty() || std::string_view(found.data(), static_cast<size_t>(size)) == value;
}

// SQLite's shared memory and write-ahead log: a query alone touches them.
bool is_noise(std::string_view path) {
  for (const std::string_view folder : {"/var/lib/rpm/", "/usr/lib/sysimage/rpm/"})
    for (const std::string_view name : {"rpmdb.sqlite-shm", "rpmdb.sqlite-wal"})
      if (path.size() == folder.size() + name.size() && path.starts_with(folder) && path.ends_with(name)) return true;
  return false;
}

bool is_temporary(std::string_view path) {
  return (path.starts_with("/tmp/") && path.size() > 5) || (path.starts_with("/var/tmp/") && path.size() > 9);
}

bool is_prefix_of(const FoundFile& part, const FoundFile& whole, std::string_view what) {
  if (part.state.size > whole.state.size) return false;
  const Fd one = reopen_for_reading(part.handle, what);
  const Fd other = reopen_for_reading(whole.handle, what);
  std::vector<std::byte> a(1 << 16);
  std::vector<std::byte> b(1 << 16);
  for (uint64_t done = 0; done < part.state.size;) {
    const auto size = std::min<uint64_t>(a.size(), part.state.size - done);
    pread_exactly(one, std::span(a).first(size), done, what);
    pread_exactly(other, std::span(b).first(size), done, what);
    if (!std::equal(a.begin(), a.begin() + static_cast<ptrdiff_t>(size), b.begin())) return false;
    done += size;
  }
  return true;
}

struct Folders {
  const Fd& upper;
  const Fd* lower;  // nullptr: the target has no such folder
  const Fd& merged;
};

class Reader {
 public:
  Reader(int64_t since_ns, std::span<const std::string> named) : since_ns_(since_ns), named_(named) {}

  void walk_layer(const Fd& target_root, const Fd& merged_root, const UpperLayer& layer) {
    keeps_user_attributes_ = layer.keeps_user_attributes;
    const std::string top = layer.prefix.empty() ? "/" : layer.prefix;
    const Fd lower = open_in_root_without_links(target_root, top, O_RDONLY | O_DIRECTORY);
    const Fd merged = open_in_root_without_links(merged_root, top, O_RDONLY | O_DIRECTORY);
    const Fd upper(::openat(layer.upper.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!upper) throw system_error(errno, "cannot read the trial's changes");
    compare_folder(read_entry(lower, ".", Content::skip, top), read_entry(merged, ".", Content::skip, top), top);
    walk({upper, &lower, merged}, layer.prefix);
  }

  ReadChanges finish() {
    std::ranges::sort(found_.changes, {}, &Change::path);
    return std::move(found_);
  }

 private:
  void walk(const Folders& in, const std::string& folder) {
    for (const std::string& name : names_in(in.upper, folder)) {
      const std::string path = folder + "/" + name;
      if (!is_noise(path)) visit(in, name, path);
    }
  }

  void visit(const Folders& in, const std::string& name, const std::string& path) {
    const Fd upper = try_open_entry(in.upper, name);
    if (!upper) throw system_error(errno, "cannot read the trial's " + printable(path));
    const struct stat status = stat_of(upper, printable(path));
    FoundFile before = in.lower == nullptr ? FoundFile{} : read_entry(*in.lower, name, Content::skip, path);
    if (is_whiteout(status)) {
      if (before.state.type != FileType::absent) remove(*in.lower, name, path, std::move(before));
      return;
    }
    if (before.state.type == FileType::absent && is_temporary(path) && !is_named(path, named_)) {
      found_.left_behind.push_back(path);
      return;
    }
    FoundFile after = read_entry(in.merged, name, Content::skip, path);
    if (after.state.type == FileType::absent)
      throw Error(Code::target, printable(path), ": in the trial's changes, but not in its tree");
    if (S_ISDIR(status.st_mode))
      visit_folder(in, name, path, upper, before, after);
    else
      visit_file(in, name, path, upper, status, std::move(before), std::move(after));
  }

  void visit_folder(const Folders& in, const std::string& name, const std::string& path, const Fd& upper_entry,
                    FoundFile& before, FoundFile& after) {
    const Fd upper = try_open_folder(in.upper, name);
    const Fd merged = try_open_folder(in.merged, name);
    if (!upper || !merged) throw system_error(errno, "cannot read the trial's folder " + printable(path));
    if (before.state.type != FileType::directory) {
      if (before.state.type != FileType::absent) note_if_moved(path, before);
      read_content(before, path);
      add(path, before, after, true);
      walk({upper, nullptr, merged}, path);
      return;
    }
    const Fd lower = try_open_folder(*in.lower, name);
    if (!lower) throw system_error(errno, "cannot read the target's folder " + printable(path));
    compare_folder(before, std::move(after), path);
    if (has_attribute(upper_entry, "trusted.overlay.opaque", "y")) remove_all_but(lower, upper, path);
    walk({upper, &lower, merged}, path);
  }

  // An opaque folder hides what the target has in it.
  void remove_all_but(const Fd& lower, const Fd& upper, const std::string& path) {
    const std::vector<std::string> kept = names_in(upper, path);
    for (const std::string& name : names_in(lower, path)) {
      if (std::ranges::binary_search(kept, name) || is_noise(path + "/" + name)) continue;
      FoundFile before = read_entry(lower, name, Content::skip, path + "/" + name);
      if (before.state.type != FileType::absent) remove(lower, name, path + "/" + name, std::move(before));
    }
  }

  void compare_folder(const FoundFile& before, FoundFile&& after, const std::string& path) {
    settle_attributes(before, after);
    if (same_metadata(before.state, after.state)) return;
    // Entries that come and go change both times; what changes its metadata changes ctime alone.
    if (before.changed_ns >= since_ns_ && before.changed_ns != before.times.modified_ns)
      found_.moved.emplace(path, "its metadata changed while the trial ran");
    add(path, before, after, false);
  }

  void visit_file(const Folders& in, const std::string& name, const std::string& path, const Fd& upper,
                  const struct stat& status, FoundFile before, FoundFile after) {
    const bool copied_up = has_attribute(upper, "trusted.overlay.origin");
    if (before.state.type == FileType::absent) {
      if (copied_up && may_be_deleted(in.lower))
        found_.moved.emplace(path, "it may have been deleted while the trial ran");
      read_content(after, path);
      if (status.st_nlink > 1) found_.linked.emplace(path, status.st_ino);
      add(path, before, after, true);
      return;
    }
    if (before.state.type != after.state.type) {
      note_if_moved(path, before);
      if (before.state.type == FileType::directory) remove_children(*in.lower, name, path);
      read_content(before, path);
      read_content(after, path);
      add(path, before, after, true);
      return;
    }
    compare_file(path, status, before, after);
  }

  // A file that was copied up, and no such file in the target: moved there by the script, or deleted
  // from the target meanwhile. Only in a folder that lost or gained an entry can it be the latter.
  bool may_be_deleted(const Fd* lower) const {
    return lower != nullptr && read_entry(*lower, ".", Content::skip, "a folder").times.modified_ns >= since_ns_;
  }

  void compare_file(const std::string& path, const struct stat& status, FoundFile& before, FoundFile& after) {
    settle_attributes(before, after);
    read_content(before, path);
    read_content(after, path);
    bool content_changed = !same_content(before.state, after.state);
    const bool metadata_changed = !same_metadata(before.state, after.state);
    if (!content_changed && !metadata_changed) return;
    if (before.changed_ns >= since_ns_) {
      const bool written_by_script = after.times.modified_ns >= since_ns_;
      const bool only_written = before.changed_ns == before.times.modified_ns;
      if (content_changed && !written_by_script && only_written && is_prefix_of(after, before, path)) {
        // A log that grew: its lines stay, the metadata is what the script wanted.
        content_changed = false;
        after.state.size = before.state.size;
        after.state.content = before.state.content;
        if (!metadata_changed) return;
      } else {
        found_.moved.emplace(path, "it changed while the trial ran");
      }
    }
    if (content_changed && status.st_nlink > 1) found_.linked.emplace(path, status.st_ino);
    add(path, before, after, content_changed);
  }

  void note_if_moved(const std::string& path, const FoundFile& before) {
    if (before.changed_ns >= since_ns_) found_.moved.emplace(path, "it changed while the trial ran");
  }

  void remove(const Fd& lower, const std::string& name, const std::string& path, FoundFile before) {
    note_if_moved(path, before);
    if (before.state.type == FileType::directory) remove_children(lower, name, path);
    read_content(before, path);
    add(path, before, FoundFile{}, true);
  }

  void remove_children(const Fd& lower, const std::string& name, const std::string& path) {
    const Fd folder = try_open_folder(lower, name);
    if (!folder) throw system_error(errno, "cannot read the target's folder " + printable(path));
    for (const std::string& child : names_in(folder, path)) {
      FoundFile before = read_entry(folder, child, Content::skip, path + "/" + child);
      if (before.state.type != FileType::absent) remove(folder, child, path + "/" + child, std::move(before));
    }
  }

  // What the trial could not keep, or must not decide, is taken from the target.
  void settle_attributes(const FoundFile& before, FoundFile& after) const {
    auto& xattrs = after.state.xattrs;
    xattrs.erase(kLabel);
    for (const auto& [name, value] : before.state.xattrs)
      if (name == kLabel || (!keeps_user_attributes_ && name.starts_with("user."))) xattrs[name] = value;
  }

  void add(const std::string& path, const FoundFile& before, const FoundFile& after, bool content_changed) {
    Change change{path, before.state, after.state, content_changed, !same_metadata(before.state, after.state)};
    if (before.state.type == FileType::absent) change.after.xattrs.erase(kLabel);
    found_.changes.push_back(std::move(change));
  }

  int64_t since_ns_;
  std::span<const std::string> named_;
  bool keeps_user_attributes_ = true;
  ReadChanges found_;
};

}  // namespace

ReadChanges read_changes(const Fd& target_root, const Fd& merged_root, std::span<const UpperLayer> uppers,
                         int64_t since_ns, std::span<const std::string> named_paths) {
  Reader reader(since_ns, named_paths);
  for (const UpperLayer& layer : uppers) reader.walk_layer(target_root, merged_root, layer);
  return reader.finish();
}

}  // namespace gf
