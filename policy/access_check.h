// A command that shows that people can still get in: `sshd -t`, `visudo -c` ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gf {

struct AccessCheck {
  // passed: the command ran and ended with 0. failed: anything else.
  // not_available: `needs` is not an executable of the target, so nothing could be checked.
  enum class Outcome { passed, failed, not_available };

  std::string guard;              // the guarded class that asks for it: "sshd"
  std::string needs;              // absolute path of a program; empty: always available
  std::vector<std::string> argv;  // argv[0] is an absolute path

  // The command to run in the target: argv behind a test for `needs`.
  [[nodiscard]] std::vector<std::string> command() const;
  // What the exit status of command() means.
  [[nodiscard]] static Outcome outcome(int exit_code);
  bool operator==(const AccessCheck&) const = default;
};

std::string_view outcome_name(AccessCheck::Outcome outcome);  // "passed", "failed", "not available"

// A commit may stay if the check passes after it, or was not available before and is not after:
// a fix that removes the checking program has not shown that access works.
bool access_still_works(AccessCheck::Outcome before, AccessCheck::Outcome after);

}  // namespace gf
