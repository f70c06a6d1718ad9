// POSIX extended regular expressions by way of regcomp.
#include "policy/pattern.h"

#include <regex.h>

#include <algorithm>

#include "kernels/base/error.h"

namespace gf {

namespace {
// Longer ones, or ones that count to thousands, can make regcomp use gigabytes.
constexpr size_t kMaxExpressionBytes = 2048;
// Of a longer line each piece is searched by itself, with this overlap. A match that is longer than the
// overlap may then be missed; lines so long are refused for the model (gate.cpp).
constexpr size_t kPieceBytes = 1024;
constexpr size_t kOverlapBytes = 256;

void refuse_large_counts(std::string_view expression, std::string_view what) {
  for (size_t open = expression.find('{'); open != std::string_view::npos; open = expression.find('{', open + 1)) {
    size_t digits = 0;
    for (const char c : expression.substr(open + 1)) {
      if (c != ',' && (c < '0' || c > '9')) break;  // the end of a count, or no count at all
      digits = c == ',' ? 0 : digits + 1;
      if (digits > 2) throw Error(Code::input, what, ": repetition counts above 99 are not allowed in a pattern");
    }
  }
}
}  // namespace

Pattern::Pattern(std::string_view expression, std::string_view what) : expression_(expression) {
  if (expression.empty()) throw Error(Code::input, what, ": expected a pattern, found an empty text");
  if (expression.size() > kMaxExpressionBytes || expression.find('\0') != std::string_view::npos) {
    throw Error(Code::input, what, ": expected a pattern of at most ", kMaxExpressionBytes,
                " bytes without NUL, found ", expression.size(), " bytes");
  }
  refuse_large_counts(expression, what);
  auto compiled = std::make_unique<regex_t>();
  const int failed = regcomp(compiled.get(), expression_.c_str(), REG_EXTENDED | REG_ICASE | REG_NOSUB | REG_NEWLINE);
  if (failed != 0) {
    char reason[128];
    regerror(failed, compiled.get(), reason, sizeof reason);
    throw Error(Code::input, what, ": pattern ", expression_, " is not a regular expression: ", reason);
  }
  compiled_ = std::shared_ptr<const void>(compiled.release(), [](const void* held) {
    auto* regex = static_cast<regex_t*>(const_cast<void*>(held));
    regfree(regex);
    delete regex;
  });
}

bool Pattern::found_in(const std::string& text) const {
  const auto* regex = static_cast<const regex_t*>(compiled_.get());
  // Line by line, in pieces: a search takes quadratic time in the length of what it is given.
  for (size_t at = 0; at <= text.size();) {
    const size_t line_end = std::min(text.find('\n', at), text.size());
    const size_t end = std::min(line_end, at + kPieceBytes);
    regmatch_t piece{.rm_so = static_cast<regoff_t>(at), .rm_eo = static_cast<regoff_t>(end)};
    const int flags = REG_STARTEND | (at > 0 && text[at - 1] != '\n' ? REG_NOTBOL : 0);
    if (regexec(regex, text.c_str(), 1, &piece, flags) == 0) return true;
    at = end == line_end ? line_end + 1 : end - kOverlapBytes;
  }
  return false;
}

}  // namespace gf
