// What is known of every rule during a run: its result before and now, and what became of it. Shared by
// the workers; every function takes the lock.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "policy/change_set.h"
#include "runner/content.h"
#include "runner/evaluator.h"
#include "runner/prompt.h"

namespace gf {

struct RuleRecord {
  const RuleInfo* info = nullptr;
  XccdfResult before = XccdfResult::unknown;
  XccdfResult now = XccdfResult::unknown;
  std::string evidence;  // of the newest evaluation that did not pass
  std::string outcome;   // a word of runner/record.h; empty until it is decided
  std::string reason;
  std::optional<Origin> fixed_by;
  int64_t attempts = 0;
  int64_t model_attempts = 0;
  double seconds = 0;
  std::vector<AttemptSummary> history;
};

class RuleTable {
 public:
  RuleTable(const BenchmarkInfo& benchmark, const std::vector<RuleState>& before);

  [[nodiscard]] RuleRecord get(const std::string& rule) const;
  [[nodiscard]] std::vector<std::string> all() const;  // document order
  [[nodiscard]] std::vector<std::string> undecided() const;

  void decide(const std::string& rule, std::string outcome, std::string reason,
              std::optional<Origin> fixed_by = std::nullopt);
  void add_attempt(const std::string& rule, AttemptSummary summary, Origin origin, double seconds);
  int64_t next_attempt_number(const std::string& rule);
  void set_lesson(const std::string& rule, const std::string& lesson);

  // Rules whose checks read one of these files, `except` left out. Those that walk /, /etc, /usr ... are left to
  // the scan of the whole profile.
  [[nodiscard]] std::vector<std::string> readers_of(const std::vector<Change>& changes,
                                                    const std::string& except) const;
  // Those of `states` that were pass and are anything else now; changes nothing.
  [[nodiscard]] std::vector<RuleState> broken_by(const std::vector<RuleState>& states) const;
  // Stores the states. Rules that became pass through somebody else's change are decided as fixed by `origin`.
  void update(const std::vector<RuleState>& states, std::optional<Origin> origin, const std::string& reason);
  // Stores the states after a roll-back. Rules decided as fixed that do not pass any more are reopened and
  // returned.
  std::vector<std::string> replace(const std::vector<RuleState>& states);

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> order_;
  std::map<std::string, RuleRecord> records_;
};

}  // namespace gf
