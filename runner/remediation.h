// The loop over the rules that do not pass: vetted fixes first, then the model's, several rules at once,
// in the order that the manifest asks for.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "runner/committer.h"
#include "runner/schedule.h"

namespace gf {

class Remediation {
 public:
  Remediation(const RunContext& run);

  // Decides every rule of the table. Returns early, with rules left as `skipped`, when the run must stop.
  // After an Error that leaves it, decide_the_rest() completes the table for the report.
  void run();
  void decide_the_rest(const std::string& why_ended);
  [[nodiscard]] size_t rolled_back() const { return committer_.rolled_back(); }

 private:
  // What a phase may do for a rule.
  enum class Steps { vetted, model, both };
  void decide_untouched();
  void run_phase(const std::vector<std::string>& rules, Steps steps);
  void work(Schedule& schedule, Steps steps);
  void work_on_safely(const std::string& rule, Steps steps);
  void work_on(const std::string& rule, Steps steps);
  // True: the rule is decided, and nothing more is to be tried.
  bool apply_fix(const AttemptInput& input);
  bool model_may_try(const std::string& rule);
  void try_model(const std::string& rule);
  [[nodiscard]] std::vector<std::string> chosen(bool constrained, bool last) const;
  [[nodiscard]] std::vector<std::string> worth_repeating() const;
  [[nodiscard]] bool take_model_attempt();
  [[nodiscard]] bool out_of_time(const std::string& rule) const;

  const RunContext& run_;
  Checks checks_;
  Committer committer_;
  std::atomic<int64_t> model_attempts_left_;
};

}  // namespace gf
