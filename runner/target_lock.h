// The locks of a run: on its state folder, and on the target, by its device and inode. They are
// flock(2) locks, which the kernel drops when the last process that holds them ends.
#pragma once

#include <filesystem>
#include <vector>

#include "kernels/base/fd.h"

namespace gf {

// Tries at once and never waits. Throws Code::locked, saying what is held.
std::vector<Fd> lock_for_run(const Fd& state_folder, const Fd& target, const std::filesystem::path& state_path,
                             const std::filesystem::path& target_path);

}  // namespace gf
