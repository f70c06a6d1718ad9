// The keeper of one trial. Its first answer carries the namespaces and the root; one message more for
// each overlay carries that overlay's upper folder. Then it runs what it is asked to until its
// channel closes.
#include "runner/trial_keeper.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/channel.h"
#include "runner/overlay.h"
#include "runner/root_view.h"
#include "runner/trial_script.h"

namespace gf {
namespace {

using nlohmann::json;

void bring_loopback_up() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    throw system_error(errno, "cannot bring the trial's loopback interface up");
}

// The init of the pid namespace in which evaluations run: mounts /proc for them and reaps.
[[noreturn]] void be_init(const std::string& proc, int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char failed = 0;
  try {
    mount_proc(proc);
  } catch (const Error&) {
    failed = static_cast<char>(errno != 0 ? errno : EIO);
  }
  (void)!::write(ready, &failed, 1);
  if (failed != 0) ::_exit(1);
  ::close_range(0, ~0U, 0);
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &ended, nullptr);
  while (true) {
    ::sigwaitinfo(&ended, nullptr);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

pid_t start_init(const std::string& proc) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  const Fd ready(ends[0]);
  Fd their_end(ends[1]);
  const pid_t init = fork_with(CLONE_NEWPID);
  if (init < 0) throw system_error(errno, "cannot start a pid namespace");
  if (init == 0) be_init(proc, their_end.get());
  their_end.reset();
  char failed = EIO;
  if (::read(ready.get(), &failed, 1) != 1 || failed != 0) throw system_error(failed, "cannot mount the trial's /proc");
  return init;
}

TreeRequest tree_request(const json& request) {
  return {request.at("target").get<std::string>(),
          request.at("device").get<uint64_t>(),
          request.at("inode").get<uint64_t>(),
          request.at("is_host").get<bool>(),
          request.at("scratch").get<std::string>(),
          request.at("upper_limit_bytes").get<uint64_t>(),
          request.at("hidden").get<std::vector<std::string>>()};
}

void run_one(Channel& channel, const json& request, const std::vector<RunFolder>& run_folders) {
  SandboxRun run;
  run.argv = request.at("argv").get<std::vector<std::string>>();
  run.script = request.at("script").get<std::string>();
  run.limits.seconds = request.at("seconds").get<int>();
  run.limits.output_bytes = request.at("output_bytes").get<uint64_t>();
  run.limits.memory_bytes = request.at("memory_bytes").get<uint64_t>();
  run.limits.file_bytes = request.at("file_bytes").get<uint64_t>();
  run.limits.processes = request.at("processes").get<int>();
  try {
    const SandboxOutcome outcome = run_in_sandbox(run, run_folders);
    channel.send({{"exit_code", outcome.exit_code},
                  {"timed_out", outcome.timed_out},
                  {"output", to_valid_utf8(outcome.output)},
                  {"output_cut", outcome.output_cut},
                  {"seconds", outcome.seconds}});
  } catch (const Error& error) {
    channel.send_error(error);
  }
}

}  // namespace

int trial_main(Channel& channel, const json& request, std::vector<Fd>&) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) != 0)
    throw system_error(errno, "cannot make namespaces for a trial (root is needed)");
  bring_loopback_up();
  const Tree tree = build_tree(tree_request(request));
  const pid_t init = start_init(tree.merged + "/proc");
  // While this process still sees the machine's /proc.
  RootView view;
  view.mount_ns = open_file("/proc/self/ns/mnt", O_RDONLY);
  view.net_ns = open_file("/proc/self/ns/net", O_RDONLY);
  view.ipc_ns = open_file("/proc/self/ns/ipc", O_RDONLY);
  view.uts_ns = open_file("/proc/self/ns/uts", O_RDONLY);
  view.pid_ns = open_file("/proc/" + std::to_string(init) + "/ns/pid", O_RDONLY);
  enter_tree(tree);
  view.root = open_file("/", O_PATH | O_DIRECTORY);
  const std::array<int, 6> spaces = {view.mount_ns.get(), view.pid_ns.get(), view.net_ns.get(),
                                     view.ipc_ns.get(),   view.uts_ns.get(), view.root.get()};
  channel.send({{"overlays", tree.uppers.size()}}, spaces);
  for (const UpperLayer& layer : tree.uppers) {
    const std::array<int, 1> upper = {layer.upper.get()};
    channel.send({{"prefix", layer.prefix}, {"keeps_user_attributes", layer.keeps_user_attributes}}, upper);
  }
  while (const std::optional<Message> message = channel.receive()) run_one(channel, message->body, tree.run_folders);
  return 0;
}

}  // namespace gf
