// fork, exec, and a pipe.
#include "tests/support/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "kernels/base/fd.h"
#include "tests/support/catch.h"

namespace gf::test {
namespace {

pid_t spawn(const std::vector<std::string>& argv, int output) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::setsid();
  ::dup2(output, 1);
  ::dup2(output, 2);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t start(const std::vector<std::string>& argv, const std::string& output_file) {
  const Fd output = open_file(output_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  return spawn(argv, output.get());
}

Finished run(const std::vector<std::string>& argv) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe");
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t child = spawn(argv, writing.get());
  writing.reset();
  Finished finished;
  std::array<char, 4096> block{};
  ssize_t got = 0;
  while ((got = ::read(reading.get(), block.data(), block.size())) > 0)
    finished.output.append(block.data(), static_cast<size_t>(got));
  finished.status = wait_for(child);
  return finished;
}

std::string must_run(const std::vector<std::string>& argv) {
  const Finished finished = run(argv);
  INFO(argv.front() << ": " << finished.output);
  REQUIRE(finished.status == 0);
  return finished.output;
}

}  // namespace gf::test
