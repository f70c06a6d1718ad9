// Bodies of journal entries (runner/record.h) made from the types of the run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "policy/change_set.h"
#include "runner/bundle_set.h"
#include "runner/evaluator.h"
#include "runner/job.h"

namespace gf {

nlohmann::json changes_body(const std::vector<Change>& changes);
nlohmann::json states_body(const std::vector<RuleState>& states);
nlohmann::json benchmark_body(const BenchmarkInfo& benchmark);

struct RunStart {
  std::string run_id;
  std::string mode;  // scan, trial, apply, recover, roll_back
  const Job* job = nullptr;
  const BundleSet* bundles = nullptr;  // null for recover and roll_back
  std::string content_name;            // empty: none
  Digest content_digest;
  Digest policy_digest;
  Digest trust_digest;
  Digest previous_run;
};
nlohmann::json run_started_body(const RunStart& start);

std::string host_name();

}  // namespace gf
