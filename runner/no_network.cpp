// The filter, with libseccomp.
#include "runner/no_network.h"

#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "kernels/base/error.h"

namespace gf {

void deny_network() {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  int failed = filter ? 0 : -ENOMEM;
  const auto check = [&](int status) {
    if (failed == 0 && status < 0) failed = status;
  };
  if (filter) {
    for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) {
      // Families are compared from both sides, so that everything else is denied: AF_UNIX is 1, AF_NETLINK 16.
      check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EACCES), call, 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK)));
      check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EACCES), call, 1, SCMP_A0(SCMP_CMP_EQ, AF_UNSPEC)));
      for (int family = AF_UNIX + 1; family < AF_NETLINK; ++family)
        check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EACCES), call, 1,
                               SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))));
    }
    for (const int call : {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)})
      check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), call, 0));
    check(seccomp_load(filter.get()));
  }
  if (failed < 0)
    throw Error(Code::unsupported, "the kernel refused the filter that keeps gf-run off the network: ",
                system_error(-failed, "seccomp").message());
}

}  // namespace gf
