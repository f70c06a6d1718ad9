// One attempt at one rule: gate, trial, evaluation, gate again. Nothing here reaches the target.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/checks.h"
#include "runner/plan_schema.h"
#include "runner/run_context.h"

namespace gf {

struct AttemptInput {
  std::string rule;
  Origin origin = Origin::vetted;
  std::string script;
  std::optional<Plan> plan;  // what the model wrote
};

struct AttemptResult {
  // passed: the trial, its changes and the rules to look at are there for a commit.
  // already_passes: the rule passes without any change, because another rule's change did it.
  enum class Kind { passed, already_passes, failed, refused, unhealthy, error };
  Kind kind = Kind::error;
  int64_t number = 0;
  std::string reason;
  std::string refused_by;
  std::unique_ptr<Trial> trial;
  std::optional<ApprovedChanges> changes;
  std::vector<std::string> readers;  // other rules that read a changed file
  std::vector<AccessCheck> access;
};

std::string_view to_text(AttemptResult::Kind kind);

// Journals the intent before the script runs and the outcome after it. Errors of the machine (no space
// for the trial ...) are an outcome, `error`, and not an exception: the next rule may still work.
AttemptResult try_fix(const RunContext& run, Checks& checks, AttemptInput input);

// The model's answer was no plan: an attempt without a trial.
void record_invalid_output(const RunContext& run, const std::string& rule, const std::string& reason, double seconds);

}  // namespace gf
