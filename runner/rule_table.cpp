// RuleTable: plain bookkeeping under one lock.
#include "runner/rule_table.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace gf {
namespace {

bool is_below(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) &&
         (folder.ends_with('/') || path[folder.size()] == '/');
}

bool is_whole_tree(const RuleInfo& rule, const std::string& read) {
  return read == "/" || (rule.walks_file_system && read.find('/', 1) == std::string::npos);
}

bool reads(const RuleInfo& rule, const std::string& path) {
  return std::any_of(rule.read_paths.begin(), rule.read_paths.end(), [&](const std::string& read) {
    return !is_whole_tree(rule, read) && (path == read || is_below(path, read) || is_below(read, path));
  });
}

}  // namespace

RuleTable::RuleTable(const BenchmarkInfo& benchmark, const std::vector<RuleState>& before) {
  for (const RuleInfo& rule : benchmark.rules) {
    order_.push_back(rule.id);
    records_[rule.id].info = &rule;
  }
  for (const RuleState& state : before) {
    RuleRecord& record = records_.at(state.rule_id);
    record.before = state.result;
    record.now = state.result;
    record.evidence = state.evidence;
  }
}

RuleRecord RuleTable::get(const std::string& rule) const {
  const std::lock_guard lock(mutex_);
  return records_.at(rule);
}

std::vector<std::string> RuleTable::all() const { return order_; }

std::vector<std::string> RuleTable::undecided() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> rules;
  for (const std::string& rule : order_)
    if (records_.at(rule).outcome.empty()) rules.push_back(rule);
  return rules;
}

void RuleTable::decide(const std::string& rule, std::string outcome, std::string reason,
                       std::optional<Origin> fixed_by) {
  const std::lock_guard lock(mutex_);
  RuleRecord& record = records_.at(rule);
  record.outcome = std::move(outcome);
  record.reason = std::move(reason);
  record.fixed_by = fixed_by;
}

int64_t RuleTable::next_attempt_number(const std::string& rule) {
  const std::lock_guard lock(mutex_);
  return ++records_.at(rule).attempts;
}

void RuleTable::add_attempt(const std::string& rule, AttemptSummary summary, Origin origin, double seconds) {
  const std::lock_guard lock(mutex_);
  RuleRecord& record = records_.at(rule);
  record.seconds += seconds;
  if (origin == Origin::model) ++record.model_attempts;
  record.history.push_back(std::move(summary));
}

void RuleTable::set_lesson(const std::string& rule, const std::string& lesson) {
  const std::lock_guard lock(mutex_);
  if (!records_.at(rule).history.empty()) records_.at(rule).history.back().lesson = lesson;
}

std::vector<std::string> RuleTable::readers_of(const std::vector<Change>& changes, const std::string& except) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> rules;
  for (const std::string& rule : order_) {
    const RuleInfo& info = *records_.at(rule).info;
    if (rule == except) continue;
    const bool touched =
        std::any_of(changes.begin(), changes.end(), [&](const Change& change) { return reads(info, change.path); });
    if (touched) rules.push_back(rule);
  }
  return rules;
}

std::vector<RuleState> RuleTable::broken_by(const std::vector<RuleState>& states) const {
  const std::lock_guard lock(mutex_);
  std::vector<RuleState> broken;
  for (const RuleState& state : states)
    if (records_.at(state.rule_id).now == XccdfResult::pass && state.result != XccdfResult::pass)
      broken.push_back(state);
  return broken;
}

void RuleTable::update(const std::vector<RuleState>& states, std::optional<Origin> origin, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  for (const RuleState& state : states) {
    RuleRecord& record = records_.at(state.rule_id);
    const bool newly_passes = record.now != XccdfResult::pass && state.result == XccdfResult::pass;
    record.now = state.result;
    record.evidence = state.evidence;
    if (!newly_passes || record.outcome == "fixed") continue;
    record.outcome = "fixed";
    record.reason = reason;
    record.fixed_by = origin;
  }
}

std::vector<std::string> RuleTable::replace(const std::vector<RuleState>& states) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> reopened;
  for (const RuleState& state : states) {
    RuleRecord& record = records_.at(state.rule_id);
    record.now = state.result;
    record.evidence = state.evidence;
    if (record.outcome != "fixed" || state.result == XccdfResult::pass) continue;
    record.outcome.clear();
    record.reason.clear();
    record.fixed_by.reset();
    reopened.push_back(state.rule_id);
  }
  return reopened;
}

}  // namespace gf
