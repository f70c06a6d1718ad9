// gf-run's own programs, configuration, state, units and keys: never committed, and no grant helps.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/change_set.h"

namespace gf {

// Why a change may never be committed, or nothing. `protected_paths` are absolute paths of the target
// (a folder protects all below it) or globs. Besides them everything is protected that is called
// gf-run, gf-bundle or gf-report, with any ending, in any folder. The folders above a protected path
// may not be removed, replaced, given away or opened to writers either.
std::optional<std::string> why_protected(const Change& change, const std::vector<std::string>& protected_paths);

}  // namespace gf
