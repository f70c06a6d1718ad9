// Error: rendering, and the translation from errno.
#include "kernels/base/error.h"

#include <cerrno>
#include <cstring>

namespace gf {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::internal: return "internal";
    case Code::findings: return "findings";
    case Code::partial: return "partial";
    case Code::usage: return "usage";
    case Code::input: return "input";
    case Code::io: return "io";
    case Code::no_space: return "no_space";
    case Code::not_trusted: return "not_trusted";
    case Code::corrupt: return "corrupt";
    case Code::stale: return "stale";
    case Code::wrong_host: return "wrong_host";
    case Code::forbidden: return "forbidden";
    case Code::locked: return "locked";
    case Code::memory: return "memory";
    case Code::unsupported: return "unsupported";
    case Code::target: return "target";
    case Code::evaluator: return "evaluator";
    case Code::recovery: return "recovery";
  }
  return "internal";
}

Error& Error::add_context(std::string line) {
  context_.push_back(std::move(line));
  render();
  return *this;
}

void Error::render() {
  rendered_ = message_;
  for (const std::string& line : context_) {
    rendered_ += "\n  ";
    rendered_ += line;
  }
}

Error system_error(int error_number, std::string_view what) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return Error(full ? Code::no_space : Code::io, what, ": ", std::strerror(error_number));
}

}  // namespace gf
