// Every denied thing is tried from inside; and ordinary work goes on.
#include "policy/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>

#include "kernels/base/atomic_file.h"
#include "kernels/base/fd.h"
#include "policy/syscall_filter.h"
#include "tests/policy/sandbox_child.h"
#include "tests/support/catch.h"

using gf::test::error_after;
using gf::test::run_in_child;

#define NEEDS_ROOT \
  if (!gf::test::can_enter_sandbox()) GF_SKIP("needs root with CAP_SETPCAP")

namespace {

int in_script_sandbox(const std::function<int()>& body, gf::ScriptLimits limits = {}) {
  return run_in_child([&] {
    gf::enter_script_sandbox(limits);
    return body();
  });
}

int in_evaluation_sandbox(const std::function<int()>& body) {
  return run_in_child([&] {
    gf::enter_evaluation_sandbox();
    return body();
  });
}

// The errno of a raw system call inside the script sandbox.
template <typename... Arguments>
int script_call(long number, Arguments... arguments) {
  return in_script_sandbox([=] { return error_after(syscall(number, arguments...)); });
}

uint64_t status_field(const char* name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + std::string(name).size() + 1, nullptr, 16);
  }
  return ~uint64_t{0};
}

constexpr uint64_t kEight = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID |
                            1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SETFCAP | 1u << CAP_KILL;

int shell(const std::string& script) {
  execl("/bin/bash", "bash", "-c", script.c_str(), nullptr);
  return 99;
}

}  // namespace

TEST_CASE("every_listed_system_call_is_refused_in_both_sandboxes") {
  NEEDS_ROOT;
  int tried = 0;
  for (const std::string_view name : gf::denied_syscalls()) {
    const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
    if (number < 0) continue;  // this architecture or this libseccomp has no such call
    // Arguments of zero: even if one got through, it could do nothing.
    const auto call = [=] { return error_after(syscall(number, 0, 0, 0, 0, 0, 0)); };
    CAPTURE(name);
    CHECK(in_script_sandbox(call) == EPERM);
    CHECK(in_evaluation_sandbox(call) == EPERM);
    ++tried;
  }
  CHECK(tried > 50);
}

TEST_CASE("calls_that_libseccomp_does_not_know_are_refused_by_number") {
  NEEDS_ROOT;
  constexpr long kOpenTreeAttr = 467, kMountSetattr = 442;
  CHECK(script_call(kOpenTreeAttr, -1, "", 0, 0, 0) == EPERM);
  CHECK(script_call(kMountSetattr, -1, "", 0, 0, 0) == EPERM);
}

TEST_CASE("namespaces_cannot_be_made_by_clone_or_clone3") {
  NEEDS_ROOT;
  for (const long flag :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    CAPTURE(flag);
    CHECK(script_call(SYS_clone, flag | SIGCHLD, 0L, 0L, 0L, 0L) == EPERM);
    CHECK(script_call(SYS_unshare, flag) == EPERM);
  }
  CHECK(script_call(SYS_clone3, 0L, 0L) == ENOSYS);
}

TEST_CASE("forks_and_threads_still_work_inside") {
  NEEDS_ROOT;
  CHECK(in_script_sandbox([] {
          const pid_t child = fork();
          if (child == 0) _exit(7);
          int status = 0;
          waitpid(child, &status, 0);
          return WEXITSTATUS(status);
        }) == 7);
}

TEST_CASE("scripts_get_unix_and_netlink_sockets_and_no_others") {
  NEEDS_ROOT;
  for (int family = 0; family < 50; ++family) {
    const int error = script_call(SYS_socket, family, SOCK_DGRAM, 0);
    CAPTURE(family);
    if (family == AF_UNIX) {
      CHECK(error == 0);
    } else if (family != AF_NETLINK) {
      CHECK(error == EPERM);
    }
  }
  CHECK(script_call(SYS_socket, AF_NETLINK, SOCK_RAW, 0) == 0);
  int pair[2];
  CHECK(script_call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair) == 0);
}

TEST_CASE("upper_bits_of_arguments_do_not_get_a_call_through") {
  NEEDS_ROOT;
  constexpr long kUpper = 1L << 32;
  CHECK(script_call(SYS_socket, kUpper | AF_INET, SOCK_STREAM, 0L) == EPERM);
  CHECK(script_call(SYS_socket, -1L << 32 | AF_INET6, SOCK_STREAM, 0L) == EPERM);
  CHECK(script_call(SYS_ioctl, 0L, kUpper | TIOCSTI, "x") == EPERM);
  CHECK(script_call(SYS_clone, kUpper | CLONE_NEWUSER | SIGCHLD, 0L, 0L, 0L, 0L) == EPERM);
}

TEST_CASE("input_cannot_be_typed_into_a_terminal") {
  NEEDS_ROOT;
  CHECK(script_call(SYS_ioctl, 0, TIOCSTI, "x") == EPERM);
  CHECK(script_call(SYS_ioctl, 0, 0x541C, "x") == EPERM);
}

TEST_CASE("device_nodes_cannot_be_made_and_pipes_can") {
  NEEDS_ROOT;
  const gf::test::TemporaryFolder folder;
  const std::string node = (folder / "node").string();
  for (const mode_t type : {S_IFCHR, S_IFBLK}) {
    // 0:0 is what an overlay reads as "deleted".
    for (const dev_t device : {dev_t{0}, dev_t{0x103}}) {
      CHECK(in_script_sandbox([&] { return error_after(mknod(node.c_str(), type | 0600, device)); }) == EPERM);
      CHECK(in_script_sandbox([&] {
              return error_after(syscall(SYS_mknodat, AT_FDCWD, node.c_str(), type | 0600, device));
            }) == EPERM);
    }
  }
  CHECK(in_script_sandbox([&] { return error_after(mknod(node.c_str(), S_IFIFO | 0600, 0)); }) == 0);
}

TEST_CASE("calls_by_another_architecture_kill_the_process") {
  NEEDS_ROOT;
#if defined(__x86_64__)
  constexpr long kX32Getpid = 0x40000000 + 39;
  CHECK(script_call(kX32Getpid) == 1000 + SIGSYS);
  CHECK(in_script_sandbox([] {
          int result = 20;  // getpid by the 32-bit gate
          __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
          return 0;
        }) == 1000 + SIGSYS);
#else
  GF_SKIP("only x86_64 has further entries here");
#endif
}

TEST_CASE("the_bounding_set_is_exactly_the_eight_capabilities") {
  NEEDS_ROOT;
  CHECK(in_script_sandbox([] {
          const bool own = status_field("CapBnd:") == kEight && (status_field("CapPrm:") & ~kEight) == 0 &&
                           (status_field("CapEff:") & ~kEight) == 0 && status_field("CapAmb:") == 0;
          return own && status_field("NoNewPrivs:") == 1 ? 0 : 1;
        }) == 0);
}

TEST_CASE("capabilities_survive_exec_as_exactly_these_eight") {
  NEEDS_ROOT;
  char expected[32];
  (void)snprintf(expected, sizeof expected, "%016llx", static_cast<unsigned long long>(kEight));
  const std::string script = std::string("for s in CapPrm CapEff CapBnd; do grep -q \"^$s:[[:space:]]*") + expected +
                             "$\" /proc/self/status || exit 1; done";
  CHECK(in_script_sandbox([&] { return shell(script); }) == 0);
}

TEST_CASE("limits_are_set_and_cannot_be_raised_again") {
  NEEDS_ROOT;
  const gf::ScriptLimits limits{
      .seconds = 5, .output_bytes = 1024, .memory_bytes = 1 << 30, .file_bytes = 65536, .processes = 50};
  CHECK(in_script_sandbox(
            [] { return shell("[ $(ulimit -Hv) = 1048576 ] && [ $(ulimit -Hc) = 0 ] && [ $(ulimit -Hu) = 50 ]"); },
            limits) == 0);
  CHECK(in_script_sandbox(
            [] {
              const rlimit more{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
              return error_after(setrlimit(RLIMIT_AS, &more));
            },
            limits) == EPERM);
}

TEST_CASE("a_file_larger_than_the_limit_ends_its_writer") {
  NEEDS_ROOT;
  const gf::test::TemporaryFolder folder;
  gf::ScriptLimits limits;
  limits.file_bytes = 65536;
  const std::string script = "exec 2>/dev/null; head -c 1000000 /dev/zero > " + (folder / "big").string();
  CHECK(in_script_sandbox([&] { return shell(script); }, limits) != 0);
  CHECK(std::filesystem::file_size(folder / "big") <= 65536);
}

TEST_CASE("mounting_and_network_tools_fail_inside") {
  NEEDS_ROOT;
  const gf::test::TemporaryFolder folder;
  CHECK(in_script_sandbox([&] { return shell("mount -t tmpfs none " + folder.path().string() + " 2>/dev/null"); }) !=
        0);
  CHECK(in_script_sandbox([] { return shell("unshare -n true 2>/dev/null"); }) != 0);
  CHECK(in_script_sandbox([] { return shell("(exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null"); }) != 0);
  CHECK(in_script_sandbox([] { return shell("date -s @0 >/dev/null 2>&1"); }) != 0);
}

TEST_CASE("ordinary_work_of_a_fix_goes_on_inside") {
  NEEDS_ROOT;
  const gf::test::TemporaryFolder folder;
  const std::string script = R"sh(
set -e
cd "$1"
mkdir -p etc/ssh
printf 'PermitRootLogin yes\nroot:x:0:0\n' > etc/ssh/sshd_config
sed -i 's/yes/no/' etc/ssh/sshd_config
grep -q 'PermitRootLogin no' etc/ssh/sshd_config
[ "$(awk -F: '$3 == "0" {print $1}' etc/ssh/sshd_config)" = root ]
cp -a etc/ssh/sshd_config etc/ssh/sshd_config.bak
install -m 0600 -o 1 -g 2 etc/ssh/sshd_config copy
[ "$(stat -c %a:%u:%g copy)" = 600:1:2 ]
chown 3:4 copy && chmod 4755 copy && chmod 0640 copy
ln -s copy link && mv copy other && rm link
t=$(mktemp ./x.XXXXXX) && rm "$t"
find . -type f -exec chmod o-rwx {} +
printf 'a\nb\n' | sort -r | head -n 1 | tr b c | grep -q c
while IFS= read -r line; do :; done < <(cat etc/ssh/sshd_config)
(true & wait)
id -u > /dev/null; getent passwd root > /dev/null
touch -d @0 other; test "$(stat -c %Y other)" = 0
)sh";
  CHECK(in_script_sandbox([&] {
          execl("/bin/bash", "bash", "-c", script.c_str(), "bash", folder.path().c_str(), nullptr);
          return 99;
        }) == 0);
}

TEST_CASE("account_tools_work_inside_on_a_copy_of_the_account_files") {
  NEEDS_ROOT;
  const gf::test::TemporaryFolder folder;
  if (access("/usr/sbin/useradd", X_OK) != 0) GF_SKIP("useradd is not installed");
  std::filesystem::create_directories(folder / "etc");
  for (const char* name : {"passwd", "shadow", "group", "gshadow"}) {
    gf::write_atomically(folder / "etc" / name,
                         std::string_view(name) == "passwd" ? "root:x:0:0:root:/root:/bin/bash\n" : "", 0600);
  }
  // useradd's own lock and temporary files, and a change of owner; --prefix needs no chroot.
  CHECK(in_script_sandbox([&] {
          return shell("useradd --prefix " + folder.path().string() + " -u 1234 someone >/dev/null 2>&1");
        }) == 0);
  CHECK(gf::read_text_file(folder / "etc/passwd", 4096).find("someone:x:1234:") != std::string::npos);
}

TEST_CASE("an_evaluation_may_open_a_network_socket_and_do_nothing_with_it") {
  NEEDS_ROOT;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const auto with_socket = [&](int type, const std::function<long(int)>& body) {
    return in_evaluation_sandbox([&] {
      const int fd = socket(AF_INET, type, 0);
      return fd < 0 ? 200 : error_after(body(fd));
    });
  };
  CHECK(with_socket(SOCK_DGRAM, [](int) { return 0L; }) == 0);
  CHECK(with_socket(SOCK_STREAM, [&](int fd) { return connect(fd, generic, sizeof address); }) == EPERM);
  CHECK(with_socket(SOCK_STREAM, [&](int fd) { return bind(fd, generic, sizeof address); }) == EPERM);
  CHECK(with_socket(SOCK_STREAM, [](int fd) { return listen(fd, 1); }) == EPERM);
  CHECK(with_socket(SOCK_STREAM, [](int fd) { return accept(fd, nullptr, nullptr); }) == EPERM);
  CHECK(with_socket(SOCK_STREAM, [](int fd) { return accept4(fd, nullptr, nullptr, 0); }) == EPERM);
  CHECK(with_socket(SOCK_DGRAM, [&](int fd) { return sendto(fd, "x", 1, 0, generic, sizeof address); }) == EPERM);
  // An address too short for the family is refused by the kernel itself.
  CHECK(with_socket(SOCK_DGRAM, [&](int fd) { return bind(fd, generic, 12); }) == EINVAL);
  CHECK(with_socket(SOCK_DGRAM, [&](int fd) { return sendto(fd, "x", 1, 0, generic, 12); }) == EINVAL);
  CHECK(in_evaluation_sandbox([] { return error_after(socket(AF_PACKET, SOCK_RAW, 0)); }) == EPERM);
}
