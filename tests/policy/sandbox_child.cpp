// Forked children for the sandbox tests.
#include "tests/policy/sandbox_child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "kernels/base/error.h"
#include "tests/support/catch.h"

namespace gf::test {

int run_in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 255;
    try {
      status = body();
    } catch (const Error& error) {
      (void)fprintf(stderr, "%s\n", error.what());
      _exit(254);
    }
    _exit(status);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) return 1000 + WTERMSIG(status);
  return WEXITSTATUS(status) == 254 ? 2000 : WEXITSTATUS(status);
}

int error_after(long result) { return result == -1 ? errno : 0; }

bool can_enter_sandbox() { return geteuid() == 0 && prctl(PR_CAPBSET_READ, 8 /* CAP_SETPCAP */, 0, 0, 0) == 1; }

}  // namespace gf::test
