// The exact list of what a script changed in its trial, as the trial's upper layer shows it. The
// gate judges this list, and Target::commit applies it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/base/digest.h"
#include "policy/origin.h"

namespace gf {

enum class FileType { absent, regular, directory, symlink, character_device, block_device, fifo, socket };

struct FileState {
  FileType type = FileType::absent;
  uint32_t mode = 0;  // the permission bits with setuid, setgid and sticky: 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  Digest content{};            // regular: of its bytes; symlink: of its text; else zero
  std::string link_target{};   // symlink only
  uint64_t device_number = 0;  // devices only (st_rdev)
  // security.capability, security.selinux, ACLs ... never trusted.overlay.*
  std::map<std::string, std::string> xattrs{};
};

struct Change {
  std::string path;  // absolute in the target: "/etc/ssh/sshd_config"
  FileState before;  // type absent: the script created it
  FileState after;   // type absent: the script deleted it
  bool content_changed = false;
  bool metadata_changed = false;
};

struct ChangeSet {
  // At most `limit` bytes of a file of the trial, "" if there is none.
  using Reader = std::function<std::string(const std::string& path, size_t limit)>;

  std::string rule_id;
  Origin origin = Origin::model;
  std::vector<Change> changes;           // sorted by path; parents before children
  std::vector<std::string> named_paths;  // of the vetted fix and the rule; see policy/named_paths.h
  Reader read_after;                     // needed wherever the gate must look into a file
  Reader read_before;                    // optional: the same files before the script
};

}  // namespace gf
