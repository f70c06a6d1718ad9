// Which system calls are refused, and why these. The list names what can leave the trial, reach the
// kernel or the machine's clock, or look into other processes; all else is an ordinary script's business.
#include "policy/syscall_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <memory>

#include "kernels/base/error.h"

namespace gf {

namespace {

// `number` is the generic one (the same on x86_64 and aarch64 from 424 on), for calls that are newer
// than the installed libseccomp; -1 where every supported libseccomp knows the name.
struct DeniedCall {
  std::string_view name;
  int number;
};

constexpr DeniedCall kDenied[] = {
    // Mounts and roots.
    {"mount", -1},
    {"umount", -1},
    {"umount2", -1},
    {"pivot_root", -1},
    {"chroot", -1},
    {"fsopen", 430},
    {"fsconfig", 431},
    {"fsmount", 432},
    {"fspick", 433},
    {"move_mount", 429},
    {"open_tree", 428},
    {"open_tree_attr", 467},
    {"mount_setattr", 442},
    // Namespaces (clone by its flags, below).
    {"unshare", -1},
    {"setns", -1},
    // Other processes.
    {"ptrace", -1},
    {"process_vm_readv", -1},
    {"process_vm_writev", -1},
    {"process_madvise", 440},
    {"process_mrelease", 448},
    {"pidfd_getfd", 438},
    {"kcmp", -1},
    // The kernel itself.
    {"bpf", -1},
    {"init_module", -1},
    {"finit_module", -1},
    {"delete_module", -1},
    {"create_module", -1},
    {"kexec_load", -1},
    {"kexec_file_load", -1},
    {"reboot", -1},
    {"perf_event_open", -1},
    {"userfaultfd", -1},
    {"syslog", -1},
    {"iopl", -1},
    {"ioperm", -1},
    {"lookup_dcookie", -1},
    {"vhangup", -1},
    {"nfsservctl", -1},
    {"uselib", -1},
    {"_sysctl", -1},
    {"lsm_set_self_attr", 460},
    // Files by handle, around every path check.
    {"open_by_handle_at", -1},
    {"name_to_handle_at", -1},
    // Calls that do other calls out of sight of this filter.
    {"io_uring_setup", 425},
    {"io_uring_enter", 426},
    {"io_uring_register", 427},
    // Keys of the machine.
    {"keyctl", -1},
    {"add_key", -1},
    {"request_key", -1},
    // Clocks, swap, accounting, quotas, the host's name.
    {"clock_settime", -1},
    {"settimeofday", -1},
    {"stime", -1},
    {"adjtimex", -1},
    {"clock_adjtime", -1},
    {"swapon", -1},
    {"swapoff", -1},
    {"acct", -1},
    {"quotactl", -1},
    {"quotactl_fd", 443},
    {"sethostname", -1},
    {"setdomainname", -1},
    // Watching or moving what others have.
    {"fanotify_init", -1},
    {"fanotify_mark", -1},
    {"move_pages", -1},
    {"migrate_pages", -1},
};

constexpr uint32_t kEperm = SCMP_ACT_ERRNO(EPERM);

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release) {
    if (!context_) throw Error(Code::unsupported, "cannot make a seccomp filter; is seccomp built into the kernel");
    check(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "the architecture");
    check(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_NNP, 0), "no_new_privs");
  }

  // Refuses the call where all comparisons hold. A call that this architecture lacks is skipped.
  void refuse(std::string_view name, std::initializer_list<scmp_arg_cmp> when = {}, int number = -1,
              uint32_t action = kEperm) {
    int call = seccomp_syscall_resolve_name(std::string(name).c_str());
    if (call == __NR_SCMP_ERROR) call = number;
    if (call < 0) return;
    check(seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(when.size()), when.begin()), name);
  }

  void load() { check(seccomp_load(context_.get()), "the filter"); }

 private:
  static void check(int result, std::string_view what) {
    if (result < 0)
      throw Error(Code::unsupported, "seccomp: cannot set ", what, ": ", system_error(-result, "libseccomp").message());
  }
  std::unique_ptr<void, void (*)(void*)> context_;
};

scmp_arg_cmp equal(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp not_equal(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_NE, value, 0}; }
scmp_arg_cmp at_least(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_GE, value, 0}; }
// The kernel reads many arguments as 32 bits: a comparison of all 64 would be passed by setting an upper bit.
scmp_arg_cmp bits(unsigned argument, uint64_t mask, uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

void refuse_namespaces(Filter& filter) {
  // Its flags are in memory, where no filter sees them; on ENOSYS the C library uses clone.
  filter.refuse("clone3", {}, 435, SCMP_ACT_ERRNO(ENOSYS));
  // CLONE_NEWTIME shares its bit with clone's exit signal, and only clone3 and unshare take it.
  for (const uint64_t flag :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    filter.refuse("clone", {bits(0, flag, flag)});
  }
}

void refuse_devices(Filter& filter) {
  // 0:0 as well, which needs no capability and which an overlay reads as "deleted".
  for (const uint64_t type : {S_IFCHR, S_IFBLK}) {
    filter.refuse("mknod", {bits(1, S_IFMT, type)});
    filter.refuse("mknodat", {bits(2, S_IFMT, type)});
  }
}

void refuse_terminal_input(Filter& filter) {
  constexpr uint64_t kTioclinux = 0x541C;  // asm-generic/ioctls.h; glibc has no name for it everywhere
  for (const uint64_t request : {uint64_t{TIOCSTI}, kTioclinux}) filter.refuse("ioctl", {bits(1, 0xffffffff, request)});
}

// Every family but the given ones. EQ and GE compare all 64 bits, so a number with an upper bit set
// falls under GE.
void refuse_families_but(Filter& filter, std::initializer_list<int> allowed) {
  constexpr int kFamilies = 64;  // AF_MAX is 46 in Linux 6
  for (const std::string_view call : {"socket", "socketpair"}) {
    for (int family = 0; family < kFamilies; ++family) {
      bool is_allowed = false;
      for (const int one : allowed) is_allowed = is_allowed || one == family;
      if (!is_allowed) filter.refuse(call, {equal(0, static_cast<uint64_t>(family))});
    }
    filter.refuse(call, {at_least(0, kFamilies)});
  }
}

void refuse_connections(Filter& filter) {
  constexpr uint64_t kNetlinkAddressBytes = 12;
  for (const std::string_view call : {"connect", "listen", "accept", "accept4", "sendmmsg"}) filter.refuse(call);
  filter.refuse("bind", {not_equal(2, kNetlinkAddressBytes)});
  filter.refuse("sendto", {not_equal(4, 0), not_equal(5, kNetlinkAddressBytes)});
}

}  // namespace

std::vector<std::string_view> denied_syscalls() {
  std::vector<std::string_view> names;
  for (const DeniedCall& call : kDenied) names.push_back(call.name);
  return names;
}

void load_syscall_filter(FilterFor purpose) {
  Filter filter;
  for (const DeniedCall& call : kDenied) filter.refuse(call.name, {}, call.number);
  refuse_namespaces(filter);
  refuse_devices(filter);
  refuse_terminal_input(filter);
  if (purpose == FilterFor::script) {
    refuse_families_but(filter, {AF_UNIX, AF_NETLINK});
  } else {
    refuse_families_but(filter, {AF_UNIX, AF_NETLINK, AF_INET, AF_INET6});
    refuse_connections(filter);
  }
  filter.load();
}

}  // namespace gf
