// Checks: the answer before, kept by command, and the answer in a trial.
#include "runner/checks.h"

namespace gf {

std::vector<AccessCheck> Checks::with_health(const std::vector<AccessCheck>& access) const {
  std::vector<AccessCheck> all = access;
  for (const HealthCheck& health : run_.manifest.health)
    all.push_back({"health:" + health.name, health.command.front(), health.command});
  return all;
}

AccessCheck::Outcome Checks::run_one(Trial& trial, const AccessCheck& check) const {
  return AccessCheck::outcome(trial.run_check(check.command(), run_.limits).exit_code);
}

void Checks::remember(const std::vector<AccessCheck>& access) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Trial> trial;
  for (const AccessCheck& check : with_health(access)) {
    if (before_.contains(check.command())) continue;
    if (!trial) trial = run_.target.branch();
    before_[check.command()] = run_one(*trial, check);
  }
}

std::optional<std::string> Checks::worsened_in(Trial& trial, const std::vector<AccessCheck>& access) {
  remember(access);
  for (const AccessCheck& check : with_health(access)) {
    const AccessCheck::Outcome now = run_one(trial, check);
    AccessCheck::Outcome before{};
    {
      const std::lock_guard lock(mutex_);
      before = before_.at(check.command());
    }
    // A check that failed before this run cannot show anything; it is compared, not demanded.
    if (before == AccessCheck::Outcome::failed || access_still_works(before, now)) continue;
    return "the check " + check.guard + " (" + check.argv.front() + ") " + std::string(outcome_name(before)) +
           " before and " + std::string(outcome_name(now)) + " after";
  }
  return std::nullopt;
}

}  // namespace gf
