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

// The same denials for libopenscap, which needs to see everything: besides the capabilities above
// it keeps DAC_READ_SEARCH, SYS_PTRACE (reading /proc/PID) and AUDIT_READ-like views are not needed.
// socket() of AF_INET and AF_INET6 is allowed, since libopenscap lists interfaces with one;
// connect, bind, listen, accept and sending to an address are not.
void enter_evaluation_sandbox();

}  // namespace gf
