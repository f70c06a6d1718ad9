// What a script and an evaluation may not ask the kernel for. Both functions change the calling
// process for good and pass on to everything it executes. Call them in a single-threaded child,
// last before execve (scripts) or before evaluating (evaluations), after the namespaces were
// entered and the root was changed: afterwards neither is possible.
//
// Sources: capabilities(7), prctl(2), seccomp(2), and the kernel's syscall tables by way of
// libseccomp. Throws Code::unsupported where the kernel lacks something; nothing may then run.
#pragma once

#include "policy/script_limits.h"

namespace gf {

// Resource limits; bounding, permitted and inheritable sets reduced to CHOWN, DAC_OVERRIDE, FOWNER,
// FSETID, SETUID, SETGID, SETFCAP, KILL, and no ambient ones; no_new_privs; seccomp.
//
// RLIMIT_NPROC does not hold for the machine's root (kernel/fork.c exempts INIT_USER), so a fork
// bomb ends with the time limit, when the keeper kills the pid namespace.
void enter_script_sandbox(const ScriptLimits& limits);

// The same denials for libopenscap, which runs in this very process and must see everything: it keeps
// DAC_READ_SEARCH and SYS_PTRACE (to read /proc/PID of others) besides, and no resource limits are set.
// socket() of AF_INET and AF_INET6 is allowed, since libopenscap lists interfaces with one; connect,
// listen, accept, and binding or sending to an address are not, but for netlink (whose addresses
// have 12 bytes, fewer than the kernel takes for any other network family): getifaddrs(3) does both.
// sendmsg stays, since a filter cannot see its address and the results leave by it; the empty network
// namespace is the barrier.
void enter_evaluation_sandbox();

}  // namespace gf
