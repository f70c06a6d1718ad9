// Access checks: how they are run, and what their exit status means.
#include "policy/access_check.h"

namespace gf {

namespace {
// Not 126 or 127, which a shell inside the check may return for reasons of its own.
constexpr int kNotAvailable = 213;
}  // namespace

std::vector<std::string> AccessCheck::command() const {
  if (needs.empty()) return argv;
  std::vector<std::string> command = {
      "/bin/sh", "-c", "[ -x \"$0\" ] || exit " + std::to_string(kNotAvailable) + "; exec \"$@\"", needs};
  command.insert(command.end(), argv.begin(), argv.end());
  return command;
}

AccessCheck::Outcome AccessCheck::outcome(int exit_code) {
  if (exit_code == 0) return Outcome::passed;
  return exit_code == kNotAvailable ? Outcome::not_available : Outcome::failed;
}

std::string_view outcome_name(AccessCheck::Outcome outcome) {
  switch (outcome) {
    case AccessCheck::Outcome::passed: return "passed";
    case AccessCheck::Outcome::failed: return "failed";
    case AccessCheck::Outcome::not_available: return "not available";
  }
  return "unknown";
}

bool access_still_works(AccessCheck::Outcome before, AccessCheck::Outcome after) {
  if (after == AccessCheck::Outcome::passed) return true;
  return after == AccessCheck::Outcome::not_available && before == AccessCheck::Outcome::not_available;
}

}  // namespace gf
