// Launcher: the side of gf-run here at the top, the launcher process itself and the first steps of a
// child below.
//
// Between the two: one control channel on which gf-run only sends ({"do":"launch"|"kill", ...}), and
// for each child a status socket on which the launcher writes two 32-bit words: the pid (or -errno),
// and when the child ended, its status. Nothing is multiplexed, so any thread may wait for its child.
#include "runner/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <utility>

#include "kernels/base/error.h"

namespace gf {
namespace {

using nlohmann::json;

size_t thread_count() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = 3;
  for (const int fd : keep) {
    if (fd < static_cast<int>(first)) continue;
    if (static_cast<unsigned>(fd) > first) ::close_range(first, static_cast<unsigned>(fd) - 1, 0);
    first = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(first, ~0U, 0);
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void write_word(const Fd& socket, int32_t word) {
  // gf-run may have stopped listening; that is its business.
  while (::send(socket.get(), &word, sizeof word, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

std::optional<int32_t> read_word(const Fd& socket) {
  int32_t word = 0;
  ssize_t got = -1;
  do got = ::recv(socket.get(), &word, sizeof word, MSG_WAITALL);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof word)) return std::nullopt;
  return word;
}

// ---- in the child ----

void report(Channel& channel, const Error& error) {
  try {
    channel.send_error(error);
  } catch (const Error&) {
    // Nobody listens any more; the exit status still tells.
  }
}

int run_entry(const EntryPoint& entry, Channel& channel, const json& request, std::vector<Fd>& fds) {
  try {
    return entry.run(channel, request, fds);
  } catch (const Error& error) {
    report(channel, error);
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    report(channel, Error(Code::internal, "in the process \"", entry.name, "\": ", error.what()));
    return static_cast<int>(Code::internal);
  }
}

[[noreturn]] void become_child(const EntryPoint& entry, Fd socket, const json& request, std::vector<Fd> fds,
                               pid_t launcher) {
  ::setpgid(0, 0);
  if (entry.name != kCommitEntry) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launcher) ::_exit(128 + SIGKILL);  // the launcher went before the line above
  }
  ::prctl(PR_SET_NAME, ("gf-" + std::string(entry.name)).c_str());
  std::vector<int> keep = {socket.get()};
  for (const Fd& fd : fds) keep.push_back(fd.get());
  close_all_but(keep);
  reset_signals();
  Channel channel(std::move(socket));
  const int status = run_entry(entry, channel, request, fds);
  std::fflush(nullptr);
  ::_exit(status);
}

// ---- the launcher process ----

class LauncherProcess {
 public:
  LauncherProcess(Channel control, std::span<const EntryPoint> entries)
      : control_(std::move(control)), entries_(entries) {
    // SIGTERM and a terminal's SIGINT are for gf-run, which then ends us by closing the channel.
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2}) ::signal(number, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    ::sigprocmask(SIG_SETMASK, &ended, nullptr);
    signals_ = Fd(::signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) throw system_error(errno, "cannot watch child processes");
  }

  int run() {
    while (!control_closed_ || !running_.empty()) {
      std::array<pollfd, 2> waiting = {pollfd{signals_.get(), POLLIN, 0},
                                       pollfd{control_closed_ ? -1 : control_.fd(), POLLIN, 0}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return 1;
      if (waiting[0].revents != 0) reap();
      if (waiting[1].revents != 0) obey();
    }
    return 0;
  }

 private:
  struct Running {
    uint64_t number;
    Fd status;
    bool finishes_itself;
  };

  void obey() {
    std::optional<Message> message;
    try {
      message = control_.receive();
    } catch (const Error&) {
      message.reset();  // gf-run died in the middle of a message
    }
    if (!message) {
      end_children();
      return;
    }
    if (message->body["do"] == "launch") {
      launch(std::move(*message));
    } else {
      const auto number = message->body["number"].get<uint64_t>();
      for (const auto& [pid, child] : running_)
        if (child.number == number) ::kill(-pid, SIGKILL);
    }
  }

  void launch(Message message) {
    Fd status = std::move(message.fds.at(0));
    Fd socket = std::move(message.fds.at(1));
    std::vector<Fd> passed(std::make_move_iterator(message.fds.begin() + 2),
                           std::make_move_iterator(message.fds.end()));
    const EntryPoint& entry = entries_[message.body["entry"].get<size_t>()];
    const pid_t launcher = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) become_child(entry, std::move(socket), message.body["request"], std::move(passed), launcher);
    if (pid < 0) {
      write_word(status, -errno);
      return;
    }
    ::setpgid(pid, pid);  // here too: a kill must find the group whichever of the two ran first
    write_word(status, pid);
    running_.emplace(pid,
                     Running{message.body["number"].get<uint64_t>(), std::move(status), entry.name == kCommitEntry});
  }

  void reap() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
    while (true) {
      siginfo_t ended{};
      if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
      const pid_t pid = ended.si_pid;
      // The group first, while the zombie still keeps its number from being used again.
      const auto child = running_.find(pid);
      if (child != running_.end()) ::kill(-pid, SIGKILL);
      int status = 0;
      ::waitpid(pid, &status, 0);
      if (child == running_.end()) continue;
      write_word(child->second.status, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
      running_.erase(child);
    }
  }

  void end_children() {
    control_closed_ = true;
    for (const auto& [pid, child] : running_)
      if (!child.finishes_itself) ::kill(-pid, SIGKILL);
  }

  Channel control_;
  std::span<const EntryPoint> entries_;
  Fd signals_;
  std::map<pid_t, Running> running_;
  bool control_closed_ = false;
};

[[noreturn]] void become_launcher(Channel control, std::span<const EntryPoint> entries) {
  int status = 1;
  try {
    ::setpgid(0, 0);
    ::prctl(PR_SET_NAME, "gf-launcher");
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a child leaves behind is reaped here
    const Fd null = open_file("/dev/null", O_RDONLY);
    ::dup2(null.get(), STDIN_FILENO);
    close_all_but({control.fd()});
    status = LauncherProcess(std::move(control), entries).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gf-run: the launcher process failed: %s\n", error.what());
  }
  ::_exit(status);
}

}  // namespace

// ---- gf-run's side ----

std::unique_ptr<Launcher> Launcher::start(std::span<const EntryPoint> entries) {
  if (const size_t threads = thread_count(); threads != 1)
    throw Error(Code::internal, "the launcher must be started before any thread; there are ", threads);
  auto [ours, theirs] = Channel::pair();
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw system_error(errno, "cannot start the launcher process");
  if (pid == 0) become_launcher(std::move(theirs), entries);
  return std::unique_ptr<Launcher>(new Launcher(std::move(ours), pid, entries));
}

Launcher::Launcher(Channel control, pid_t pid, std::span<const EntryPoint> entries)
    : control_(std::move(control)), pid_(pid), entries_(entries) {}

Launcher::~Launcher() {
  control_.close();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Child Launcher::launch(std::string_view entry, const json& request, std::vector<int> fds) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [entry](const EntryPoint& candidate) { return candidate.name == entry; });
  if (found == entries_.end()) throw Error(Code::internal, "the launcher has no entry \"", entry, "\"");

  auto [ours, theirs] = Channel::pair();
  auto [status, status_theirs] = Channel::pair();
  std::vector<int> passed = {status_theirs.fd(), theirs.fd()};
  passed.insert(passed.end(), fds.begin(), fds.end());
  uint64_t number = 0;
  try {
    const std::lock_guard lock(mutex_);
    number = next_++;
    control_.send({{"do", "launch"},
                   {"number", number},
                   {"entry", static_cast<size_t>(found - entries_.begin())},
                   {"request", request}},
                  passed);
  } catch (Error& error) {
    throw error.add_context("while starting the process \"" + std::string(entry) + "\"");
  }
  status_theirs.close();
  theirs.close();
  Fd status_socket = status.release();
  const std::optional<int32_t> pid = read_word(status_socket);
  if (!pid) throw Error(Code::io, "the launcher process is gone; cannot start the process \"", entry, "\"");
  if (*pid < 0) throw system_error(-*pid, "cannot start the process \"" + std::string(entry) + "\"");
  return Child(*this, std::move(ours), std::move(status_socket), number, *pid, entry == kCommitEntry);
}

void Launcher::kill(uint64_t number) {
  const std::lock_guard lock(mutex_);
  control_.send({{"do", "kill"}, {"number", number}});
}

Child::Child(Launcher& launcher, Channel channel, Fd status, uint64_t number, pid_t pid, bool finishes_itself)
    : launcher_(&launcher),
      channel_(std::move(channel)),
      status_(std::move(status)),
      number_(number),
      pid_(pid),
      finishes_itself_(finishes_itself) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  finish();
  launcher_ = other.launcher_;
  channel_ = std::move(other.channel_);
  status_ = std::move(other.status_);
  number_ = other.number_;
  pid_ = other.pid_;
  exit_status_ = other.exit_status_;
  finishes_itself_ = other.finishes_itself_;
  return *this;
}

Child::~Child() { finish(); }

void Child::finish() noexcept {
  channel_.close();
  if (!status_) return;
  try {
    if (!finishes_itself_) kill();
    wait();
  } catch (const std::exception&) {
    // The launcher is gone, and its children with it.
  }
}

int Child::wait() {
  if (!status_) return exit_status_;
  const std::optional<int32_t> word = read_word(status_);
  status_.reset();
  if (!word) {
    exit_status_ = 128 + SIGKILL;
    throw Error(Code::io, "the launcher process is gone, and its children with it");
  }
  exit_status_ = *word;
  return exit_status_;
}

void Child::kill() {
  if (status_) launcher_->kill(number_);
}

}  // namespace gf
