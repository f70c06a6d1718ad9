// libopenscap's system_info probe lists interfaces; it must be able to in its sandbox.
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "policy/sandbox.h"
#include "tests/policy/sandbox_child.h"
#include "tests/support/catch.h"

TEST_CASE("interfaces_can_be_listed_in_the_evaluation_sandbox") {
  if (!gf::test::can_enter_sandbox()) GF_SKIP("needs root with CAP_SETPCAP");
  CHECK(gf::test::run_in_child([] {
          gf::enter_evaluation_sandbox();
          ifaddrs* list = nullptr;
          if (getifaddrs(&list) != 0) return 1;
          freeifaddrs(list);
          const int fd = socket(AF_INET, SOCK_DGRAM, 0);
          if (fd < 0) return 2;
          ifreq request{};
          std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
          return ioctl(fd, SIOCGIFFLAGS, &request) == 0 ? 0 : 3;
        }) == 0);
}
