// The two seccomp filters. Built with libseccomp for the native architecture alone: a call by any other
// entry (32-bit, x32) kills the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gf {

enum class FilterFor { script, evaluation };

// Sets the filter for this process and its children. no_new_privs must be set.
void load_syscall_filter(FilterFor purpose);

// Names of the system calls that both filters refuse with EPERM whatever their arguments are.
std::vector<std::string_view> denied_syscalls();

}  // namespace gf
