// SELinux labels of new files, asked of the machine's own policy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/change_set.h"

namespace gf {

// The label that the policy gives to `path`; "" where SELinux is off, libselinux is not installed, or
// the policy has none for it. libselinux is loaded at run time: nothing is needed where it is not.
std::string label_for_new_file(const std::string& path, FileType type, uint32_t mode);

}  // namespace gf
