// Health checks of the job and access checks of the policy, run inside a trial: an exit status decides,
// never a text.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "policy/access_check.h"
#include "runner/run_context.h"

namespace gf {

class Checks {
 public:
  explicit Checks(const RunContext& run) : run_(run) {}

  // The job's health checks and these access checks, in the trial as it is now, against what they said of
  // the target when first asked. Nothing: all as well as before. Otherwise which check failed, and how.
  std::optional<std::string> worsened_in(Trial& trial, const std::vector<AccessCheck>& access);

  // Asks the target itself now, through a fresh branch, so that later answers can be compared.
  void remember(const std::vector<AccessCheck>& access);

 private:
  std::vector<AccessCheck> with_health(const std::vector<AccessCheck>& access) const;
  AccessCheck::Outcome run_one(Trial& trial, const AccessCheck& check) const;
  const RunContext& run_;
  std::mutex mutex_;
  std::map<std::vector<std::string>, AccessCheck::Outcome> before_;
};

}  // namespace gf
