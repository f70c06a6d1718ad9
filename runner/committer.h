// Commits, one at a time, each re-checked on the target itself; the whole profile after each batch; and
// the search for the commit that broke a rule.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "runner/attempt.h"

namespace gf {

class Committer {
 public:
  Committer(const RunContext& run, Checks& checks) : run_(run), checks_(checks) {}

  enum class Outcome { committed, conflict, rolled_back };
  struct Result {
    Outcome outcome = Outcome::rolled_back;
    std::string reason;
  };
  // The attempt must have passed. Conflict: the target changed under the trial, nothing was done, and the
  // fix should be tried again. A commit after which its own rule does not pass, another rule does not pass
  // any more, or a check is worse, is rolled back.
  Result commit(const AttemptInput& input, const AttemptResult& attempt);

  // Scans the whole profile if anything was committed since the last time. A rule that was pass and is
  // anything else is put right by rolling back the commit that broke it, found by bisecting.
  // Returns the rules whose commits were rolled back.
  std::vector<std::string> check_batch();
  [[nodiscard]] size_t commits_since_last_batch() const;
  [[nodiscard]] size_t rolled_back() const;

 private:
  Result recheck(const AttemptInput& input, const AttemptResult& attempt, const Receipt& receipt);
  void roll_back(const Receipt& receipt, const std::string& reason);
  size_t culprit_of(const std::string& rule);
  struct Entry {
    Receipt receipt;
    Origin origin;
  };
  const RunContext& run_;
  Checks& checks_;
  mutable std::mutex mutex_;
  std::vector<Entry> batch_;  // commits since the last whole scan, oldest first
  size_t rolled_back_ = 0;
};

}  // namespace gf
