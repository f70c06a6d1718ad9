// What every policy holds before its file adds to it: deny patterns and lock-out guards.
#pragma once

#include <vector>

#include "policy/policy.h"

namespace gf {

std::vector<DenyPattern> builtin_deny_patterns();
// Classes of changes that have locked people out, each with words of rule ids, script content,
// files, and access checks. POLICY.md lists them.
std::vector<Guard> builtin_guards();

}  // namespace gf
