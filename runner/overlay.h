// The tree of one trial: overlays over the target's file systems, fresh kernel file systems, and
// nothing of the machine around it. Built by the trial's keeper, in a mount namespace of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/fd.h"

namespace gf {

struct TreeRequest {
  std::string target;   // canonical path of the folder
  uint64_t device = 0;  // of that folder: it must still be the one that was locked
  uint64_t inode = 0;
  bool is_host = false;
  std::string scratch;  // an empty folder to mount the trial's tmpfs on
  uint64_t upper_limit_bytes = 0;
  std::vector<std::string> hidden;  // absolute in the target
};

struct UpperLayer {
  std::string prefix;  // where its file system is mounted in the target: "" or "/var"
  Fd upper;
  bool keeps_user_attributes = true;  // tmpfs has user.* since Linux 6.6
};

// Directories of the target's own /run, made anew on the trial's: programs expect theirs.
struct RunFolder {
  std::string name;
  uint32_t mode = 0755;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct Tree {
  std::string merged;  // where it is mounted, before enter_tree()
  std::vector<UpperLayer> uppers;
  std::vector<RunFolder> run_folders;
};

// Everything but /proc, which only a process of the trial's pid namespace can mount at
// merged + "/proc" (mount_proc()). The calling process must have a mount namespace of its own.
// Throws Code::target where the tree cannot be tried (a link in place of /dev, changed underneath).
Tree build_tree(const TreeRequest& request);

// A procfs that nothing can be written to: not /proc/sys, and not /proc/sysrq-trigger either, for
// which the kernel asks no capability.
void mount_proc(const std::string& point);
void mount_run(const std::string& point, const std::vector<RunFolder>& folders);

// pivot_root into the tree; the old root is detached and no path leads to it any more.
void enter_tree(const Tree& tree);

// For scripts, in a copy of the trial's mount namespace and a pid namespace of their own: no device
// or setuid file of the tree counts, /dev is a tmpfs with null, zero, full, random, urandom and tty,
// /proc shows this pid namespace, /run is empty again.
void narrow_tree_for_scripts(const std::vector<RunFolder>& run_folders);

}  // namespace gf
