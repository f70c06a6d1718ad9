// Mounting a trial's tree.
#include "runner/overlay.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/mounts.h"
#include "runner/safe_path.h"

namespace gf {
namespace {

unsigned long flags_of(const MountEntry& entry) {
  unsigned long flags = 0;
  if (entry.nodev) flags |= MS_NODEV;
  if (entry.nosuid) flags |= MS_NOSUID;
  if (entry.noexec) flags |= MS_NOEXEC;
  return flags;
}

constexpr unsigned long kInert = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr unsigned long kBind = MS_BIND;
constexpr unsigned long kBindAll = MS_BIND | MS_REC;
constexpr std::string_view kRpm = "/usr/lib/rpm";

void mount_at(const std::string& source, const std::string& point, const char* type, unsigned long flags,
              const std::string& options, std::string_view what) {
  if (::mount(source.c_str(), point.c_str(), type, flags, options.c_str()) != 0)
    throw system_error(errno, "cannot mount " + std::string(what));
}

// struct mount_attr of linux/mount.h, which cannot be included beside sys/mount.h everywhere.
struct MountAttributes {
  uint64_t set = 0;
  uint64_t clear = 0;
  uint64_t propagation = 0;
  uint64_t user_namespace = 0;
};
constexpr uint64_t kReadOnly = 0x1;  // MOUNT_ATTR_RDONLY, _NOSUID, _NODEV
constexpr uint64_t kNoSetuid = 0x2;
constexpr uint64_t kNoDevices = 0x4;

// Read-only before it is attached: a remount could not address it through `place`, which is what
// lies below.
void bind_read_only(const std::string& source, const Fd& place, std::string_view what,
                    uint64_t more_attributes = kNoSetuid | kNoDevices) {
  const Fd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | O_CLOEXEC)));
  const MountAttributes attributes{kReadOnly | more_attributes, 0, 0, 0};
  if (!tree || ::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0 ||
      ::syscall(SYS_move_mount, tree.get(), "", place.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) !=
          0)
    throw system_error(errno, "cannot mount " + std::string(what));
}

uint64_t mount_id_of(const Fd& fd) {
  struct statx found {};
  if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &found) != 0)
    throw system_error(errno, "cannot ask for a mount's number");
  return found.stx_mnt_id;
}

class Builder {
 public:
  explicit Builder(const TreeRequest& request) : request_(request) {}

  Tree build() {
    open_target();
    make_scratch();
    tree_.merged = request_.scratch + "/merged";
    decide_extra_points();
    mount_overlay("", target_, tree_.merged, base_flags());
    merged_ = open_file(tree_.merged, O_PATH | O_DIRECTORY);
    for (const MountEntry& entry : mounts_below(entries_, request_.target)) add_mount(entry);
    add_kernel_file_systems();
    // With the host's own options: rules about mount options must not be answered by options of ours.
    if (show_rpm_) bind_read_only(std::string(kRpm), point_fd(kRpm), "the host's /usr/lib/rpm", 0);
    for (const std::string& path : request_.hidden) cover(path);
    return std::move(tree_);
  }

 private:
  void open_target() {
    target_ = open_file(request_.target, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const struct stat status = stat_of(target_, request_.target);
    if (status.st_dev != request_.device || status.st_ino != request_.inode)
      throw Error(Code::target, request_.target, ": expected the folder that was locked, found another one");
    // mountinfo has no size; it is read to its end.
    const Fd file = open_file("/proc/self/mountinfo", O_RDONLY);
    std::string text;
    std::array<char, 65536> buffer{};
    ssize_t got = 0;
    while ((got = ::read(file.get(), buffer.data(), buffer.size())) > 0)
      text.append(buffer.data(), static_cast<size_t>(got));
    entries_ = parse_mountinfo(text);
  }

  void make_scratch() {
    mount_at("tmpfs", request_.scratch, "tmpfs", MS_NOSUID | MS_NODEV,
             "mode=0700,size=" + std::to_string(request_.upper_limit_bytes), "a tmpfs for the trial's changes");
    for (const char* name : {"merged", "extra", "empty"}) make_folder(request_.scratch + "/" + name, 0755);
    const Fd file = open_file(request_.scratch + "/empty-file", O_WRONLY | O_CREAT | O_EXCL, 0000);
  }

  static void make_folder(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) throw system_error(errno, "cannot create " + path);
  }

  unsigned long base_flags() const {
    const uint64_t id = mount_id_of(target_);
    for (const MountEntry& entry : entries_)
      if (entry.id == id) return flags_of(entry);
    return 0;
  }

  // Mount points that the target lacks come from a second lower layer, so that they are never a
  // change: an entry of the upper layer would be one.
  void decide_extra_points() {
    for (const char* name : {"/proc", "/sys", "/dev", "/run"}) need_folder(name);
    for (const std::string& path : request_.hidden)
      if (!exists(path)) need_folder(path);
    // The library that evaluates packages is this machine's, so it needs this machine's rpm configuration,
    // also where the target has one of its own.
    const Fd rpm_of_host(::open(kRpm.data(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    show_rpm_ = !request_.is_host && rpm_of_host && exists("/usr/lib");
    if (show_rpm_) need_folder(kRpm);
  }

  bool exists(std::string_view path) const {
    return try_open_in_root(target_, path, O_PATH | O_NOFOLLOW, 0, false).valid();
  }

  void need_folder(std::string_view path) {
    const Fd found = try_open_in_root(target_, path, O_PATH | O_NOFOLLOW, 0, false);
    if (found) {
      if (!S_ISDIR(stat_of(found, path).st_mode))
        throw Error(Code::target, request_.target, printable(path), ": expected a folder, found something else");
      return;
    }
    if (errno != ENOENT)
      throw Error(Code::target, request_.target, printable(path), ": a link or a file is in the way of this folder");
    std::string made = request_.scratch + "/extra";
    for (size_t at = 1; at <= path.size();) {
      const size_t slash = std::min(path.find('/', at), path.size());
      made += "/" + std::string(path.substr(at, slash - at));
      make_folder(made, 0755);
      at = slash + 1;
    }
    extra_ = true;
  }

  void mount_overlay(const std::string& prefix, const Fd& lower, const std::string& point, unsigned long flags) {
    const std::string number = std::to_string(tree_.uppers.size());
    const std::string upper = request_.scratch + "/upper-" + number;
    const std::string work = request_.scratch + "/work-" + number;
    make_folder(upper, 0755);
    make_folder(work, 0700);
    UpperLayer layer{prefix, open_directory(upper), true};
    // The root of the overlay shows the upper folder's own owner, mode and attributes.
    const struct stat status = stat_of(lower, "the target");
    if (::fchown(layer.upper.get(), status.st_uid, status.st_gid) != 0 ||
        ::fchmod(layer.upper.get(), status.st_mode & 07777) != 0)
      throw system_error(errno, "cannot prepare the trial's changes");
    layer.keeps_user_attributes = ::fsetxattr(layer.upper.get(), "user.gf", "1", 1, 0) == 0;
    if (layer.keeps_user_attributes) ::fremovexattr(layer.upper.get(), "user.gf");
    std::string lowers = path_of(lower);
    Fd extra;
    if (prefix.empty() && extra_) {
      extra = open_file(request_.scratch + "/extra", O_PATH | O_DIRECTORY);
      lowers += ":" + path_of(extra);
    }
    // Descriptors instead of paths: no character of a path has to be escaped, and no link is followed.
    mount_at(
        "overlay", point, "overlay", flags,
        "lowerdir=" + lowers + ",upperdir=" + upper + ",workdir=" + work + ",redirect_dir=off,metacopy=off,index=off",
        "an overlay over " + (prefix.empty() ? request_.target : request_.target + prefix));
    tree_.uppers.push_back(std::move(layer));
  }

  void add_mount(const MountEntry& entry) {
    if (is_hidden(entry.point)) return;
    const Fd source = try_open_in_root(target_, entry.point, O_PATH | O_NOFOLLOW, 0, false);
    // Another mount lies over it: nobody sees it.
    if (!source || mount_id_of(source) != entry.id) return;
    const bool is_folder = S_ISDIR(stat_of(source, entry.point).st_mode);
    const std::string what = "the file system at " + printable(entry.point);
    const Fd place = point_fd(entry.point);
    const Shown shown = is_folder ? how_to_show(entry) : Shown::read_only;
    if (shown == Shown::overlay) {
      mount_overlay(entry.point, source, path_of(place), flags_of(entry));
    } else if (shown == Shown::read_only) {
      bind_read_only(path_of(source), place, what);
    } else {
      bind_read_only(request_.scratch + "/empty", place, what);
    }
  }

  bool is_hidden(std::string_view path) const {
    return std::ranges::any_of(request_.hidden, [&](const std::string& hidden) { return is_within(path, hidden); });
  }

  // Where to mount something in the merged tree, no link followed.
  Fd point_fd(std::string_view path) const {
    Fd place = try_open_in_root(merged_, path, O_PATH | O_NOFOLLOW, 0, false);
    if (!place)
      throw Error(Code::target, printable(path),
                  ": cannot be mounted on in a trial: ", system_error(errno, "open").message());
    return place;
  }
  std::string point_at(std::string_view path) {
    points_.push_back(point_fd(path));
    return path_of(points_.back());
  }

  void add_kernel_file_systems() {
    mount_at("sysfs", point_at("/sys"), "sysfs", kInert | MS_RDONLY, "", "sysfs");
    if (request_.is_host && ::access("/sys/fs/selinux/enforce", F_OK) == 0)
      bind_read_only("/sys/fs/selinux", point_fd("/sys/fs/selinux"), "the state of SELinux");
    mount_at("/dev", point_at("/dev"), nullptr, request_.is_host ? kBindAll : kBind, "", "/dev");
    read_run_folders();
    // Filled where a path leads into it; a path to the place itself leads to what lies below.
    const std::string run = request_.scratch + "/run";
    make_folder(run, 0755);
    mount_run(run, tree_.run_folders);
    mount_at(run, point_at("/run"), nullptr, MS_MOVE, "", "/run");
  }

  void read_run_folders() {
    const Fd run = try_open_in_root(target_, "/run", O_RDONLY | O_DIRECTORY, 0, false);
    if (!run) return;
    for (const std::string& name : names_in(run, "/run")) {
      const Fd entry = try_open_entry(run, name);
      if (!entry) continue;
      const struct stat status = stat_of(entry, name);
      if (S_ISDIR(status.st_mode) && tree_.run_folders.size() < 256)
        tree_.run_folders.push_back({name, status.st_mode & 07777, status.st_uid, status.st_gid});
    }
  }

  void cover(const std::string& path) {
    if (is_within(path, "/run") || is_within(path, "/dev") || is_within(path, "/proc") || is_within(path, "/sys"))
      return;
    const Fd place = point_fd(path);
    const bool is_folder = S_ISDIR(stat_of(place, path).st_mode);
    bind_read_only(request_.scratch + (is_folder ? "/empty" : "/empty-file"), place, "a cover over " + path);
  }

  const TreeRequest& request_;
  Tree tree_;
  Fd target_;
  Fd merged_;
  std::vector<MountEntry> entries_;
  std::vector<Fd> points_;
  bool extra_ = false;
  bool show_rpm_ = false;
};

void make_device(const char* path, unsigned minor, unsigned major) {
  if (::mknod(path, S_IFCHR | 0666, makedev(major, minor)) != 0 || ::chmod(path, 0666) != 0)
    throw system_error(errno, std::string("cannot make ") + path);
}

}  // namespace

Tree build_tree(const TreeRequest& request) {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    throw system_error(errno, "cannot make mounts private");
  return Builder(request).build();
}

void mount_proc(const std::string& point) { mount_at("proc", point, "proc", kInert | MS_RDONLY, "", "/proc"); }

void mount_run(const std::string& point, const std::vector<RunFolder>& folders) {
  mount_at("tmpfs", point, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64m", "a tmpfs on /run");
  for (const RunFolder& folder : folders) {
    const std::string path = point + "/" + folder.name;
    if (::mkdir(path.c_str(), 0700) != 0 || ::chown(path.c_str(), folder.uid, folder.gid) != 0 ||
        ::chmod(path.c_str(), folder.mode) != 0)
      throw system_error(errno, "cannot make /run/" + printable(folder.name));
  }
}

void enter_tree(const Tree& tree) {
  // Both arguments the same: the old root ends up mounted over the new one, and is detached from there.
  if (::chdir(tree.merged.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
    throw system_error(errno, "cannot make the trial's tree the root");
}

void narrow_tree_for_scripts(const std::vector<RunFolder>& run_folders) {
  const MountAttributes attributes{kNoSetuid | kNoDevices, 0, 0, 0};
  if (::syscall(SYS_mount_setattr, AT_FDCWD, "/", 0x8000 /* AT_RECURSIVE */, &attributes, sizeof attributes) != 0)
    throw system_error(errno, "cannot take device and setuid files of the trial out of use");
  for (const char* point : {"/dev", "/proc", "/run"})
    if (::umount2(point, MNT_DETACH) != 0) throw system_error(errno, std::string("cannot take away ") + point);
  mount_proc("/proc");
  mount_run("/run", run_folders);
  mount_at("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=16m", "a /dev for scripts");
  const mode_t mask = ::umask(0);
  make_device("/dev/null", 3, 1);
  make_device("/dev/zero", 5, 1);
  make_device("/dev/full", 7, 1);
  make_device("/dev/random", 8, 1);
  make_device("/dev/urandom", 9, 1);
  make_device("/dev/tty", 0, 5);
  const bool linked = ::symlink("/proc/self/fd", "/dev/fd") == 0 && ::symlink("/proc/self/fd/0", "/dev/stdin") == 0 &&
                      ::symlink("/proc/self/fd/1", "/dev/stdout") == 0 &&
                      ::symlink("/proc/self/fd/2", "/dev/stderr") == 0 && ::mkdir("/dev/shm", 01777) == 0;
  ::umask(mask);
  if (!linked) throw system_error(errno, "cannot fill /dev for scripts");
}

}  // namespace gf
