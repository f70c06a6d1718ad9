// Schedule: the first waiting rule whose constraints hold.
#include "runner/schedule.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace gf {
namespace {

bool share_a_file(const ScheduledRule& a, const ScheduledRule& b) {
  return std::any_of(a.touches.begin(), a.touches.end(), [&](const std::string& path) {
    return std::find(b.touches.begin(), b.touches.end(), path) != b.touches.end();
  });
}

}  // namespace

Schedule::Schedule(std::vector<ScheduledRule> rules) : waiting_(std::move(rules)) {
  for (const ScheduledRule& rule : waiting_) {
    if (!unfinished_.insert(rule.id).second) throw Error(Code::input, "the rule ", rule.id, " is scheduled twice");
    if (!rule.last) unfinished_first_.insert(rule.id);
  }
  refuse_cycles();
}

bool Schedule::may_start(const ScheduledRule& rule) const {
  if (rule.last && !unfinished_first_.empty()) return false;
  for (const std::string& id : rule.after)
    if (unfinished_.contains(id)) return false;
  return std::none_of(running_.begin(), running_.end(),
                      [&](const ScheduledRule& other) { return share_a_file(rule, other); });
}

std::optional<std::string> Schedule::start_next() {
  const auto next =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const ScheduledRule& rule) { return may_start(rule); });
  if (next == waiting_.end()) return std::nullopt;
  std::string id = next->id;
  running_.push_back(std::move(*next));
  waiting_.erase(next);
  return id;
}

void Schedule::finish(const std::string& id) {
  std::erase_if(running_, [&](const ScheduledRule& rule) { return rule.id == id; });
  unfinished_.erase(id);
  unfinished_first_.erase(id);
}

void Schedule::refuse_cycles() const {
  // Run the constraints alone to the end: whatever cannot start then is on a cycle or behind one.
  std::vector<ScheduledRule> left = waiting_;
  std::set<std::string> unfinished = unfinished_;
  std::set<std::string> unfinished_first = unfinished_first_;
  while (!left.empty()) {
    const auto next = std::find_if(left.begin(), left.end(), [&](const ScheduledRule& rule) {
      if (rule.last && !unfinished_first.empty()) return false;
      return std::none_of(rule.after.begin(), rule.after.end(),
                          [&](const std::string& id) { return unfinished.contains(id); });
    });
    if (next == left.end()) {
      std::string names;
      for (const ScheduledRule& rule : left) names += (names.empty() ? "" : ", ") + rule.id;
      throw Error(
          Code::input,
          "the order constraints of the job manifest contradict each other; these rules wait for one another: ", names);
    }
    unfinished.erase(next->id);
    unfinished_first.erase(next->id);
    left.erase(next);
  }
}

}  // namespace gf
