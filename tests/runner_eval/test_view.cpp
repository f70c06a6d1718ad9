// TestView, and the process that holds its namespaces.
#include "tests/runner_eval/test_view.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "kernels/base/error.h"

namespace gf::test {
namespace {

void must(int result, const std::string& what) {
  if (result != 0) throw system_error(errno, what);
}

void mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
              const std::string& options = {}) {
  std::filesystem::create_directories(target);
  must(::mount(source, target.c_str(), type, flags, options.c_str()), "cannot mount " + target);
}

void raise_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  must(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "cannot bring lo up");
}

void make_root(const std::string& folder) {
  must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "cannot make mounts private");
  const std::string work = "/tmp";
  // The folder may lie below /tmp, which the tmpfs covers.
  const Fd lower = open_file(folder, O_PATH | O_DIRECTORY);
  must(::mount("tmpfs", work.c_str(), "tmpfs", 0, ""), "cannot mount a tmpfs");
  for (const char* name : {"/upper", "/work", "/root"}) std::filesystem::create_directories(work + name);
  const std::string root = work + "/root";
  const std::string options = "lowerdir=/proc/self/fd/" + std::to_string(lower.get()) + ",upperdir=" + work +
                              "/upper,workdir=" + work + "/work";
  mount_at("overlay", root, "overlay", 0, options);
  mount_at("/dev", root + "/dev", nullptr, MS_BIND);
  mount_at("sysfs", root + "/sys", "sysfs", MS_RDONLY);
  mount_at("tmpfs", root + "/run", "tmpfs", 0, "mode=755");
  if (std::filesystem::exists("/usr/lib/rpm")) mount_at("/usr/lib/rpm", root + "/usr/lib/rpm", nullptr, MS_BIND);
  mount_at("proc", root + "/proc", "proc", 0);
  must(::mount((root + "/proc/sys").c_str(), (root + "/proc/sys").c_str(), nullptr, MS_BIND, nullptr), "bind");
  must(::mount(nullptr, (root + "/proc/sys").c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), "remount");
}

}  // namespace

int view_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>&) {
  const auto folder = request.get<std::string>();
  must(::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "cannot unshare");
  raise_loopback();
  const pid_t init = ::fork();
  if (init == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      make_root(folder);
      const std::string root = "/tmp/root";
      std::vector<Fd> fds;
      for (const char* name : {"mnt", "pid", "net", "ipc", "uts"})
        fds.push_back(open_file(std::string(root) + "/proc/self/ns/" + name, O_RDONLY));
      fds.push_back(open_file(root, O_PATH | O_DIRECTORY));
      fds.push_back(open_file(root, O_RDONLY | O_DIRECTORY));
      std::vector<int> numbers;
      for (const Fd& fd : fds) numbers.push_back(fd.get());
      channel.send("ready", numbers);
    } catch (const Error& error) {
      channel.send_error(error);
      ::_exit(1);
    }
    while (true) ::pause();
  }
  channel.receive();
  return 0;
}

TestView::TestView(Launcher& launcher, const std::string& folder) : keeper_(launcher.launch("view", folder)) {
  std::optional<Message> ready = keeper_.channel().receive();
  if (!ready) throw Error(Code::io, "the view's process ended");
  view_.mount_ns = std::move(ready->fds.at(0));
  view_.pid_ns = std::move(ready->fds.at(1));
  view_.net_ns = std::move(ready->fds.at(2));
  view_.ipc_ns = std::move(ready->fds.at(3));
  view_.uts_ns = std::move(ready->fds.at(4));
  view_.root = std::move(ready->fds.at(6));
}

void TestView::write(const std::string& path, const std::string& text, unsigned mode) {
  const Fd file = open_in_root(view_.root, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  write_all(file, as_bytes(text), path);
  must(::fchmod(file.get(), mode), "cannot set the mode of " + path);
}

void TestView::remove(const std::string& path) {
  must(::unlinkat(view_.root.get(), path.substr(1).c_str(), 0), "cannot remove " + path);
}

}  // namespace gf::test
