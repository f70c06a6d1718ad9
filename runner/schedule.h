// Which rule may be worked on next: order constraints of the manifest, and no two rules at once that
// touch the same files. Pure bookkeeping, no threads of its own; the caller holds a lock.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gf {

struct ScheduledRule {
  std::string id;
  std::vector<std::string> after;    // rules that must be finished first; those not scheduled do not count
  bool last = false;                 // starts when every rule that is not last is finished
  std::vector<std::string> touches;  // files its fix names; rules with a common one do not run together
};

class Schedule {
 public:
  // Keeps the given order where the constraints allow it. Throws Code::input naming the rules of a
  // cycle, and Code::input for a rule given twice.
  explicit Schedule(std::vector<ScheduledRule> rules);

  // The next rule to start, or nothing: either all are started, or one that runs must finish first.
  std::optional<std::string> start_next();
  void finish(const std::string& id);
  [[nodiscard]] bool all_started() const { return waiting_.empty(); }
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }

 private:
  [[nodiscard]] bool may_start(const ScheduledRule& rule) const;
  void refuse_cycles() const;
  std::vector<ScheduledRule> waiting_;
  std::vector<ScheduledRule> running_;
  std::set<std::string> unfinished_;        // waiting or running
  std::set<std::string> unfinished_first_;  // of those, the ones that are not last
};

}  // namespace gf
