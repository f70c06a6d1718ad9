// The one exception type of the project: what went wrong, as a sentence for an administrator,
// and the exit status that the program ends with.
#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gf {

// Exit statuses of every program here. runner/JOB.md has the same table for administrators;
// a test compares the two.
enum class Code : int {
  internal = 1,      // a defect in this program
  findings = 2,      // --fail-on-findings, and findings are left
  partial = 3,       // stopped early, or commits were rolled back
  usage = 10,        // wrong options
  input = 11,        // a file the administrator wrote is wrong (job.toml, trust.toml, policy.toml ...)
  io = 12,           // the operating system refused a read, a write, a mount ...
  no_space = 13,     // a file system is full
  not_trusted = 14,  // signature, certificate chain, threshold, revocation
  corrupt = 15,      // bytes differ from what was signed or promised
  stale = 16,        // expired, rolled back, or a clock that cannot be right
  wrong_host = 17,   // signed for another host
  forbidden = 18,    // the policy says no
  locked = 19,       // another run holds the state folder or the target
  memory = 20,       // the plan does not fit the devices
  unsupported = 21,  // this machine, or this version, cannot do it
  target = 22,       // the target is not what it must be, or changed underneath
  evaluator = 23,    // OpenSCAP could not evaluate
  recovery = 24,     // an interrupted commit could not be brought to before or after
};

std::string_view code_name(Code code);

class Error : public std::exception {
 public:
  // The parts are joined with operator<<. Lower case, no full stop: what, expected, found.
  template <typename... Parts>
  explicit Error(Code code, const Parts&... parts) : code_(code) {
    std::ostringstream text;
    (text << ... << parts);
    message_ = std::move(text).str();
    render();
  }

  // Adds a line about what was being done; the innermost comes first.
  Error& add_context(std::string line);

  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::vector<std::string>& context() const { return context_; }
  // "message\n  while reading x\n  while starting y"
  [[nodiscard]] const char* what() const noexcept override { return rendered_.c_str(); }

 private:
  void render();
  Code code_;
  std::string message_;
  std::vector<std::string> context_;
  std::string rendered_;
};

// Error from errno: "cannot open /x: Permission denied". ENOSPC and EDQUOT become Code::no_space.
[[nodiscard]] Error system_error(int error_number, std::string_view what);

// Runs f; an Error that leaves it gets the context line.
template <typename F>
decltype(auto) with_context(std::string_view line, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (Error& error) {
    error.add_context(std::string(line));
    throw;
  }
}

}  // namespace gf
