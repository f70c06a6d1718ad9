// Entering the sandbox, step by step. Each step fails closed: an Error leaves, and the caller ends.
#include "policy/sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/base/error.h"
#include "policy/syscall_filter.h"

namespace gf {

namespace {

constexpr uint64_t bit(int capability) { return uint64_t{1} << capability; }

// Enough to set up files, owners and users of a system; nothing for the machine itself.
constexpr uint64_t kScriptCapabilities = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID) |
                                         bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_SETFCAP) | bit(CAP_KILL);
constexpr uint64_t kEvaluationCapabilities = kScriptCapabilities | bit(CAP_DAC_READ_SEARCH) | bit(CAP_SYS_PTRACE);

// What exec can ever give back: root's new permitted set is the bounding set.
void limit_bounding_set(uint64_t keep) {
  for (int capability = 0; capability < 64; ++capability) {
    const int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) break;  // beyond the kernel's last capability
    if (held == 0 || (keep & bit(capability)) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      throw system_error(errno, "cannot drop capability " + std::to_string(capability) + " from the bounding set");
    }
  }
}

void limit_own_sets(uint64_t keep) {
  // Errors here mean a kernel without ambient capabilities, which then has none to clear.
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0)
    throw system_error(errno, "cannot read the process's capabilities");
  for (size_t half = 0; half < sets.size(); ++half) {
    const auto kept = static_cast<uint32_t>(keep >> (32 * half));
    sets[half].permitted &= kept;
    sets[half].effective &= kept;
    sets[half].inheritable &= kept;
  }
  if (syscall(SYS_capset, &header, sets.data()) != 0) throw system_error(errno, "cannot give up capabilities");
}

void forbid_new_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw system_error(errno, "cannot set no_new_privs");
}

void limit_resource(__rlimit_resource resource, uint64_t value, const char* name) {
  // A lower hard limit that we were started with stays.
  rlimit now{};
  if (getrlimit(resource, &now) != 0) throw system_error(errno, std::string("cannot read the limit ") + name);
  const rlim_t limit = std::min<rlim_t>(value, now.rlim_max);
  const rlimit both{.rlim_cur = limit, .rlim_max = limit};
  if (setrlimit(resource, &both) != 0) throw system_error(errno, std::string("cannot set the limit ") + name);
}

void limit_resources(const ScriptLimits& limits) {
  constexpr uint64_t kOpenFiles = 1024;
  limit_resource(RLIMIT_CORE, 0, "RLIMIT_CORE");
  limit_resource(RLIMIT_AS, limits.memory_bytes, "RLIMIT_AS");
  limit_resource(RLIMIT_FSIZE, limits.file_bytes, "RLIMIT_FSIZE");
  limit_resource(RLIMIT_NPROC, static_cast<uint64_t>(std::max(limits.processes, 1)), "RLIMIT_NPROC");
  limit_resource(RLIMIT_CPU, static_cast<uint64_t>(std::max(limits.seconds, 1)) + 1, "RLIMIT_CPU");
  limit_resource(RLIMIT_NOFILE, kOpenFiles, "RLIMIT_NOFILE");
  limit_resource(RLIMIT_MEMLOCK, 64 << 10, "RLIMIT_MEMLOCK");
  limit_resource(RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE");
  limit_resource(RLIMIT_RTPRIO, 0, "RLIMIT_RTPRIO");
}

void enter(uint64_t capabilities, FilterFor purpose) {
  // The bounding set first: dropping from it needs CAP_SETPCAP, which the next step gives up.
  limit_bounding_set(capabilities);
  limit_own_sets(capabilities);
  forbid_new_privileges();
  load_syscall_filter(purpose);
}

}  // namespace

void enter_script_sandbox(const ScriptLimits& limits) {
  with_context("while entering the sandbox of scripts", [&] {
    limit_resources(limits);
    enter(kScriptCapabilities, FilterFor::script);
  });
}

void enter_evaluation_sandbox() {
  with_context("while entering the sandbox of evaluations",
               [] { enter(kEvaluationCapabilities, FilterFor::evaluation); });
}

}  // namespace gf
