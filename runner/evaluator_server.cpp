// The evaluator's server process: loads once, forks per evaluation, ends what takes too long.
//
// It stays single-threaded (libopenscap's probe threads exist only in the evaluations), so that a fork
// copies all there is. An evaluation is made directly in the pid namespace of the root to look at: probes
// read /proc, and that shows no process of another namespace.
#include <fcntl.h>
#include <malloc.h>
#include <nss.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <string>

#include "kernels/base/error.h"
#include "policy/sandbox.h"
#include "runner/content_reader.h"
#include "runner/evaluator.h"
#include "runner/oscap_content.h"
#include "runner/oscap_evaluation.h"
#include "runner/root_view.h"

namespace gf {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMaxContentBytes = uint64_t{1} << 30;
constexpr const char* kDefaultCpeFolder = "/usr/share/openscap/cpe";

// What the name service would load after the chroot is the target's own code: files alone, which the C
// library reads by itself.
void use_files_for_names() {
  for (const char* database : {"passwd", "group", "shadow", "gshadow", "initgroups", "hosts", "networks", "protocols",
                               "services", "rpc", "ethers", "netgroup", "aliases", "publickey"})
    __nss_configure_lookup(database, "files");
}

// The models are hundreds of megabytes in small pieces, and every evaluation is a fork: with large pages a fork
// copies hundreds of entries and not a hundred thousand. Where the kernel has none, this changes nothing.
void prefer_large_pages() {
  constexpr int kHeapBytes = 768 << 20;  // address space, not memory; what does not fit gets small pages
  ::mallopt(M_TOP_PAD, kHeapBytes);
  // A block that the present heap cannot hold makes it grow, by the padding; free() leaves the padding.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  void* volatile block = std::malloc(16 << 20);  // volatile: the pair would be optimized away
  std::free(block);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  const auto end = reinterpret_cast<uintptr_t>(::sbrk(0));
  constexpr uintptr_t kPage = 2 << 20;
  const uintptr_t first = (end - kHeapBytes + kPage - 1) / kPage * kPage;
  ::madvise(reinterpret_cast<void*>(first), end / kPage * kPage - first, MADV_HUGEPAGE);
}

// libopenscap opens the checks of its own platform dictionary by path in the middle of an evaluation, where
// the root is the target's. A detached mount of that folder is reachable through /proc/self/fd from every
// root, and nothing above it is: ".." ends at its root.
Fd platform_folder() {
  const char* configured = std::getenv("OSCAP_CPE_PATH");
  const char* folder = configured != nullptr ? configured : kDefaultCpeFolder;
  Fd mount(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!mount) throw system_error(errno, std::string("cannot use the platform dictionary in ") + folder);
  return mount;
}

class EvaluatorServer {
 public:
  EvaluatorServer(Channel& channel, const json& request, std::vector<Fd>& fds) : channel_(channel) {
    prepare_process();
    prefer_large_pages();
    platforms_ = platform_folder();
    ::setenv("OSCAP_CPE_PATH", ("/proc/self/fd/" + std::to_string(platforms_.get())).c_str(), 1);
    const auto name = request.at("content_name").get<std::string>();
    {
      const std::vector<std::byte> bytes = read_file(fds.at(0), kMaxContentBytes, name);
      content_ = std::make_unique<OscapContent>(bytes, name, request.at("profile").get<std::string>());
    }
    fds.clear();
    BenchmarkInfo benchmark = read_benchmark(*content_);
    for (const RuleInfo& rule : benchmark.rules) selected_.push_back(rule.id);
    channel_.send({{"benchmark", benchmark}});
    ::clearenv();
    // Without it the C library looks at the target's /etc/localtime for every time it writes.
    ::setenv("TZ", "UTC", 1);
    refuse_threads();
  }

  int run() {
    while (true) {
      std::array<pollfd, 2> waiting = {pollfd{channel_.fd(), POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0}};
      if (::poll(waiting.data(), waiting.size(), next_deadline_ms()) < 0 && errno != EINTR)
        throw system_error(errno, "cannot wait for work");
      if (waiting[1].revents != 0) reap();
      end_overdue();
      if (waiting[0].revents == 0) continue;
      std::optional<Message> message = channel_.receive();
      if (!message) return 0;  // gf-run is done; the launcher kills what still runs
      start(std::move(*message));
    }
  }

 private:
  struct Evaluation {
    pid_t pid;
    Channel reply;
    Clock::time_point deadline;
    std::chrono::milliseconds limit;
    bool is_overdue = false;
  };

  void prepare_process() {
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_IGN);  // gf-run says when it ends
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &ended, nullptr);
    signals_ = Fd(::signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) throw system_error(errno, "cannot watch evaluations");
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);  // a core of this holds files of the target
    use_files_for_names();
    // Nothing here needs a network, whatever the content points to.
    if (::unshare(CLONE_NEWNET) != 0) throw system_error(errno, "cannot leave the network");
    own_pid_ns_ = open_file("/proc/self/ns/pid", O_RDONLY);
    // libopenscap and libxml2 print foreign text; what matters comes back as results.
    const Fd null = open_file("/dev/null", O_RDWR);
    ::dup2(null.get(), STDOUT_FILENO);
    ::dup2(null.get(), STDERR_FILENO);
  }

  static void refuse_threads() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    if (const auto count = std::distance(begin(tasks), end(tasks)); count != 1)
      throw Error(Code::internal, "the evaluator has ", count, " threads after loading and cannot fork safely");
  }

  int next_deadline_ms() const {
    if (running_.empty()) return -1;
    const auto next = std::min_element(running_.begin(), running_.end(), [](const auto& left, const auto& right) {
      return left.deadline < right.deadline;
    });
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next->deadline - Clock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
  }

  void start(Message message) {
    Channel reply(std::move(message.fds.at(0)));
    RootView view;
    view.mount_ns = std::move(message.fds.at(1));
    view.pid_ns = std::move(message.fds.at(2));
    view.net_ns = std::move(message.fds.at(3));
    view.ipc_ns = std::move(message.fds.at(4));
    view.uts_ns = std::move(message.fds.at(5));
    view.root = std::move(message.fds.at(6));
    const std::chrono::milliseconds limit(message.body.at("limit_ms").get<int64_t>());
    if (::setns(view.pid_ns.get(), CLONE_NEWPID) != 0) {
      refuse(reply, system_error(errno, "cannot enter the pid namespace of the root to evaluate"));
      return;
    }
    const pid_t pid = ::fork();
    const int fork_error = errno;
    if (pid == 0) evaluate(reply, view, message.body);
    if (::setns(own_pid_ns_.get(), CLONE_NEWPID) != 0) throw system_error(errno, "cannot leave a pid namespace");
    if (pid < 0)
      refuse(reply, system_error(fork_error, "cannot start an evaluation"));
    else
      running_.push_back({pid, std::move(reply), Clock::now() + limit, limit});
  }

  static void refuse(Channel& reply, const Error& error) {
    try {
      reply.send_error(error);
    } catch (const Error&) {
      // Whoever asked is gone.
    }
  }

  [[noreturn]] void evaluate(Channel& reply, const RootView& view, const json& request) {
    int status = 0;
    try {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::prctl(PR_SET_NAME, "gf-evaluation");
      channel_.close();
      signals_.reset();
      own_pid_ns_.reset();
      running_.clear();
      enter_root_view(view);
      close_view(view);
      sigset_t none;
      sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
      enter_evaluation_sandbox();
      EvaluationRequest wanted;
      request.at("rules").get_to(wanted.rules);
      request.at("counted_lost").get_to(wanted.counted_lost);
      request.at("wants_document").get_to(wanted.wants_document);
      const EvaluationAnswer answer = evaluate_once(*content_, wanted, selected_);
      json states = json::array();
      for (const RuleState& state : answer.states)
        states.push_back({{"rule", state.rule_id}, {"result", to_text(state.result)}, {"evidence", state.evidence}});
      const auto* first = reinterpret_cast<const uint8_t*>(answer.document.data());
      reply.send({{"states", std::move(states)},
                  {"document", json::binary(std::vector<uint8_t>(first, first + answer.document.size()))}});
    } catch (const Error& error) {
      refuse(reply, error);
      status = static_cast<int>(error.code());
    } catch (const std::exception& error) {
      refuse(reply, Error(Code::internal, "in an evaluation: ", error.what()));
      status = static_cast<int>(Code::internal);
    }
    ::_exit(status);  // no destructors: libopenscap's threads still run
  }

  // The namespaces' descriptors would be a way back out.
  static void close_view(const RootView& view) {
    for (const Fd* fd : {&view.mount_ns, &view.pid_ns, &view.net_ns, &view.ipc_ns, &view.uts_ns, &view.root})
      ::close(fd->get());
  }

  void end_overdue() {
    const auto now = Clock::now();
    for (Evaluation& evaluation : running_) {
      if (evaluation.deadline > now) continue;
      evaluation.is_overdue = true;
      ::kill(evaluation.pid, SIGKILL);
      evaluation.deadline = now + std::chrono::hours(1);
    }
  }

  void reap() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto ended =
          std::find_if(running_.begin(), running_.end(), [pid](const Evaluation& one) { return one.pid == pid; });
      if (ended == running_.end()) continue;
      std::string why = "the evaluation ended with status " + std::to_string(WEXITSTATUS(status));
      if (WIFSIGNALED(status)) why = "the evaluation was ended by signal " + std::to_string(WTERMSIG(status));
      if (ended->is_overdue)
        why = "timed out: the evaluation took more than " + std::to_string(ended->limit.count()) + " ms";
      try {
        ended->reply.send({{"ended", why}});
      } catch (const Error&) {
        // Whoever asked is gone.
      }
      running_.erase(ended);
    }
  }

  Channel& channel_;
  Fd signals_;
  Fd own_pid_ns_;
  Fd platforms_;
  std::unique_ptr<OscapContent> content_;
  std::vector<std::string> selected_;
  std::list<Evaluation> running_;
};

}  // namespace

int evaluator_main(Channel& channel, const json& request, std::vector<Fd>& fds) {
  EvaluatorServer server(channel, request, fds);
  const int status = server.run();
  // The models are hundreds of megabytes in small pieces; the end of the process frees them at once.
  ::_exit(status);
}

}  // namespace gf
