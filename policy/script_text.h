// The ways in which a script's text is looked at by patterns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gf {

// The text as it is, and as a shell would roughly see it: continued lines joined, quotes and
// backslashes gone, $'\x72m' decoded, ${IFS} a blank, $@ and $* nothing, simple variables replaced.
// No promise: a pattern can always be written around. See builtin_deny.cpp.
std::vector<std::string> pattern_views_of(std::string_view script);

// Values of a script's simple variables, in the order of assignment: X=/etc, local X="/etc",
// X=("/a" "/b"), X+=(/c), for X in /a /b. At most 32 values for each, each at most 512 bytes.
struct ScriptVariable {
  std::string name;
  std::vector<std::string> values;
};
std::vector<ScriptVariable> variables_of(std::string_view script);

}  // namespace gf
