// What is mounted below a target, and how a trial shows each of it. The format is that of
// /proc/PID/mountinfo, proc_pid_mountinfo(5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

struct MountEntry {
  uint64_t id = 0;
  std::string point;  // octal escapes undone
  std::string type;   // "ext4", "fuse.sshfs" ...
  bool read_only = false;
  bool nodev = false;
  bool nosuid = false;
  bool noexec = false;
};

// In the order of the file. Throws Code::io on a line that is not as documented.
std::vector<MountEntry> parse_mountinfo(std::string_view text);

// overlay:   a local file system; a trial gets an overlay of its own over it
// read_only: remote, or of a kind that is not known to be safe under an overlay: visible, and no
//            script can change anything on it
// hidden:    kernel interfaces; an empty read-only folder, so that nothing is written below them
enum class Shown { overlay, read_only, hidden };
Shown how_to_show(const MountEntry& entry);
// The target's own file system may also be an overlay (a container's root).
bool can_hold_target(const MountEntry& entry);

// The entries strictly below the folder `target`, without those at or below /proc, /sys, /dev and
// /run of it (a trial brings its own). `point` becomes a path inside the target ("/var").
std::vector<MountEntry> mounts_below(const std::vector<MountEntry>& all, std::string_view target);

}  // namespace gf
