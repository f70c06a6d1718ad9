// gf-run itself cannot make an internet socket.
#include "runner/no_network.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "tests/support/catch.h"

namespace gf {
namespace {

// errno of socket(family, ...) in a child behind the filter; 0 if it was made.
int socket_result(int family) {
  const pid_t child = ::fork();
  if (child == 0) {
    deny_network();
    const int fd = ::socket(family, SOCK_DGRAM, 0);
    ::_exit(fd >= 0 ? 0 : errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("only_local_sockets_can_be_made", "[job]") {
  CHECK(socket_result(AF_UNIX) == 0);
  for (const int family : {AF_INET, AF_INET6, AF_PACKET, AF_VSOCK, AF_BLUETOOTH, AF_ALG})
    CHECK(socket_result(family) == EACCES);
}

}  // namespace gf
