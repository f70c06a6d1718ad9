// One program in a trial: two processes. The first is the init of a new pid namespace; it makes the
// script's own mounts, starts the second, which enters the sandbox and executes the program, and
// ends with it. When an init ends, the kernel kills all that is left in its namespace.
#include "runner/trial_script.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "kernels/base/error.h"
#include "policy/sandbox.h"

namespace gf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kScriptFile = "/run/gf-script";
constexpr int kOutputFd = 1;
constexpr int kReportFd = 3;  // where what went wrong before the program began is written

std::pair<Fd, Fd> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

[[noreturn]] void report_and_exit(const Error& error) {
  const int code = static_cast<int>(error.code());
  std::string text(reinterpret_cast<const char*>(&code), sizeof code);
  text += error.what();
  (void)!::write(kReportFd, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
  ::_exit(125);
}

void execute(const SandboxRun& run) {
  std::vector<char*> argv;
  for (const std::string& argument : run.argv)
    argv.push_back(const_cast<char*>(argument == "{script}" ? kScriptFile : argument.c_str()));
  argv.push_back(nullptr);
  std::array<const char*, 4> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=/root", nullptr};
  // execvpe searches in the PATH of this process.
  ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  ::execvpe(argv[0], argv.data(), const_cast<char**>(environment.data()));
  const std::string why = std::string("cannot execute ") + argv[0] + ": " + std::strerror(errno) + "\n";
  (void)!::write(kOutputFd, why.data(), why.size());
  ::_exit(127);
}

[[noreturn]] void be_program(const SandboxRun& run) {
  try {
    ::setsid();
    ::umask(022);
    enter_script_sandbox(run.limits);
    execute(run);
  } catch (const Error& error) {
    report_and_exit(error);
  } catch (const std::exception& error) {
    report_and_exit(Error(Code::internal, error.what()));
  }
  ::_exit(126);
}

void arrange_descriptors(const Fd& output, const Fd& report) {
  // Above the numbers that they are going to have.
  const Fd out(::fcntl(output.get(), F_DUPFD_CLOEXEC, 16));
  const Fd told(::fcntl(report.get(), F_DUPFD_CLOEXEC, 16));
  if (!told || ::dup2(told.get(), kReportFd) < 0 || ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC) != 0) ::_exit(125);
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null || ::dup2(null.get(), 0) < 0 || ::dup2(out.get(), 1) < 0 || ::dup2(out.get(), 2) < 0) ::_exit(125);
  // Nothing of the keeper stays open: neither the upper layers nor its channel.
  ::close_range(kReportFd + 1, ~0U, 0);
}

void write_script(const std::string& script) {
  const Fd file = open_file(kScriptFile, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0500);
  write_all(file, as_bytes(script), "the script");
}

// As the init of the pid namespace. Ends as the program ended.
[[noreturn]] void be_init(const SandboxRun& run, const std::vector<RunFolder>& run_folders, const Fd& output,
                          const Fd& report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  pid_t program = -1;
  try {
    narrow_tree_for_scripts(run_folders);
    if (!run.script.empty()) write_script(run.script);
    arrange_descriptors(output, report);
    program = ::fork();
    if (program < 0) throw system_error(errno, "cannot start a process");
  } catch (const Error& error) {
    ::dup2(report.get(), kReportFd);  // fails, and needs not, where it has been moved there already
    report_and_exit(error);
  }
  if (program == 0) be_program(run);
  ::close(kReportFd);
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended == program) break;
    if (ended < 0 && errno != EINTR) ::_exit(125);
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// Reads what there is, up to the limit; the rest is thrown away. False at the end of the stream.
bool read_output(const Fd& pipe, uint64_t limit, SandboxOutcome& outcome) {
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    const uint64_t room = limit - std::min<uint64_t>(limit, outcome.output.size());
    const auto taken = std::min<uint64_t>(room, static_cast<uint64_t>(got));
    outcome.output.append(buffer.data(), taken);
    outcome.output_cut |= taken < static_cast<uint64_t>(got);
  }
}

void watch(const Fd& process, const Fd& output, const ScriptLimits& limits, SandboxOutcome& outcome) {
  const auto deadline = Clock::now() + std::chrono::seconds(limits.seconds);
  bool reading = true;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      outcome.timed_out = true;
      ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    }
    std::array<pollfd, 2> waiting = {pollfd{process.get(), POLLIN, 0}, pollfd{reading ? output.get() : -1, POLLIN, 0}};
    const int timeout = outcome.timed_out ? -1 : static_cast<int>(left.count());
    if (::poll(waiting.data(), waiting.size(), timeout) < 0 && errno != EINTR)
      throw system_error(errno, "cannot wait for a script");
    if (waiting[1].revents != 0) reading = read_output(output, limits.output_bytes, outcome);
    if (waiting[0].revents != 0) break;
  }
  if (reading) read_output(output, limits.output_bytes, outcome);
}

void throw_reported(const Fd& report) {
  std::array<char, PIPE_BUF> buffer{};
  const ssize_t got = ::read(report.get(), buffer.data(), buffer.size());
  int code = 0;
  if (got < static_cast<ssize_t>(sizeof code)) return;
  std::memcpy(&code, buffer.data(), sizeof code);
  throw Error(static_cast<Code>(code),
              std::string_view(buffer.data() + sizeof code, static_cast<size_t>(got) - sizeof code));
}

}  // namespace

int fork_with(unsigned long namespaces) {
  return static_cast<int>(::syscall(SYS_clone, namespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

SandboxOutcome run_in_sandbox(const SandboxRun& run, const std::vector<RunFolder>& run_folders) {
  auto [output, output_end] = make_pipe();
  auto [report, report_end] = make_pipe();
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  SandboxOutcome outcome;
  const auto started = Clock::now();
  const pid_t init = fork_with(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC);
  if (init < 0) throw system_error(errno, "cannot start a process for a script");
  if (init == 0) be_init(run, run_folders, output_end, report_end);
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, init, 0)));
  output_end.reset();
  report_end.reset();
  if (!process) {
    ::kill(init, SIGKILL);
    ::waitpid(init, nullptr, 0);
    throw Error(Code::unsupported, "the kernel has no pidfd_open (Linux 5.3 or later is needed)");
  }
  watch(process, output, run.limits, outcome);
  int status = 0;
  while (::waitpid(init, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - started).count();
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  throw_reported(report);
  return outcome;
}

}  // namespace gf
