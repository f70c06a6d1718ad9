// Entering a trial's namespaces.
#include "runner/root_view.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "kernels/base/error.h"

namespace gf {

RootView RootView::duplicate() const {
  return {mount_ns.duplicate(), pid_ns.duplicate(), net_ns.duplicate(),
          ipc_ns.duplicate(),   uts_ns.duplicate(), root.duplicate()};
}

void enter_root_view(const RootView& view) {
  const auto enter = [](const Fd& space, int type, const char* name) {
    if (::setns(space.get(), type) != 0) throw system_error(errno, std::string("cannot enter the trial's ") + name);
  };
  enter(view.net_ns, CLONE_NEWNET, "network namespace");
  enter(view.ipc_ns, CLONE_NEWIPC, "ipc namespace");
  enter(view.uts_ns, CLONE_NEWUTS, "uts namespace");
  enter(view.pid_ns, CLONE_NEWPID, "pid namespace");
  enter(view.mount_ns, CLONE_NEWNS, "mount namespace");
  if (::fchdir(view.root.get()) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0)
    throw system_error(errno, "cannot enter the trial's root");
}

}  // namespace gf
