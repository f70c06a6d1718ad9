// One evaluation, in a process that has entered the root to look at and does nothing else.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner/evaluator.h"

namespace gf {

class OscapContent;

struct EvaluationRequest {
  std::vector<std::string> rules;         // these alone; empty: the whole profile
  std::vector<std::string> counted_lost;  // not evaluated, and `error`: their probes crash or hang
  bool wants_document = false;
};

struct EvaluationAnswer {
  std::vector<RuleState> states;    // in document order, of the rules asked for
  std::vector<std::byte> document;  // the XCCDF TestResult
};

// Once per process: the content's models are changed by it. `selected`: every rule of the profile.
// Throws Code::evaluator when libopenscap gives up.
EvaluationAnswer evaluate_once(const OscapContent& content, const EvaluationRequest& request,
                               const std::vector<std::string>& selected);

}  // namespace gf
