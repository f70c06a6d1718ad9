// Running programs from tests.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gf::test {

struct Finished {
  int status = 0;      // exit status, or 128 + signal
  std::string output;  // stdout and stderr together
};

// Runs to the end. argv[0] is looked up in PATH.
Finished run(const std::vector<std::string>& argv);
// run(), and the test fails with the output unless it ended with 0.
std::string must_run(const std::vector<std::string>& argv);
// Starts a program in a session of its own, output to a file.
pid_t start(const std::vector<std::string>& argv, const std::string& output_file);
int wait_for(pid_t child);

}  // namespace gf::test
