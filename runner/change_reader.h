// What a trial changed: reads the upper layers of its overlays against the target. The format of an
// upper layer (whiteouts, opaque folders, trusted.overlay.*) is that of the kernel's
// Documentation/filesystems/overlayfs.rst.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/fd.h"
#include "policy/change_set.h"
#include "runner/overlay.h"

namespace gf {

struct ReadChanges {
  std::vector<Change> changes;           // sorted by path
  std::vector<std::string> left_behind;  // new entries in /tmp and /var/tmp that nobody named
  // Objects of the target that changed while the trial ran, and what was seen. Only a log that grew
  // and whose metadata alone the script changed is not among them.
  std::map<std::string, std::string> moved;
  // Names that are one file in the trial: the same number. Only those with several names.
  std::map<std::string, uint64_t> linked;
};

// since_ns: a time (CLOCK_REALTIME) before the first script ran; what the target's clock stamped
// later changed under the trial. No script may run meanwhile.
ReadChanges read_changes(const Fd& target_root, const Fd& merged_root, std::span<const UpperLayer> uppers,
                         int64_t since_ns, std::span<const std::string> named_paths);

}  // namespace gf
