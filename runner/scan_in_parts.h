// The whole profile, evaluated by several processes at once.
#pragma once

#include <cstdint>
#include <vector>

#include "runner/evaluator.h"

namespace gf {

// Every rule of the profile, in document order; as Evaluator::scan() without a results document. Neighbours
// stay together, since they look at the same files; rules that walk the file system are dealt out evenly.
std::vector<RuleState> scan_in_parts(Evaluator& evaluator, const RootView& view, int64_t parts);

}  // namespace gf
