// One turn of the model on one rule: the Architect's approach, the Worker's plan; after a failure the
// Reflector's lesson. What comes back is data; the gate and the trial judge it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runner/plan_schema.h"
#include "runner/run_context.h"

namespace gf {

struct ModelTurn {
  std::optional<Plan> plan;
  std::string reason;      // why there is no plan
  bool escalated = false;  // the Architect judged that no script can help
};

ModelTurn ask_for_plan(const RunContext& run, const RuleRecord& record, const std::function<bool()>& cancelled);

// Empty if no role reflects or its answer was not finished.
std::string ask_for_lesson(const RunContext& run, const RuleRecord& record, const std::function<bool()>& cancelled);

}  // namespace gf
