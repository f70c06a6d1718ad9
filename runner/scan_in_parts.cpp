// scan_in_parts: one thread and one evaluation process for each part.
#include "runner/scan_in_parts.h"

#include <algorithm>
#include <exception>
#include <map>
#include <string>
#include <thread>

#include "kernels/base/error.h"

namespace gf {
namespace {

using Parts = std::vector<std::vector<std::string>>;

// Neighbours to the same part.
void cut(const std::vector<std::string>& rules, Parts& parts) {
  for (size_t i = 0; i < rules.size(); ++i) parts[i * parts.size() / rules.size()].push_back(rules[i]);
}

// Neighbours to different parts.
void deal(const std::vector<std::string>& rules, Parts& parts) {
  for (size_t i = 0; i < rules.size(); ++i) parts[i % parts.size()].push_back(rules[i]);
}

Parts parts_of(const BenchmarkInfo& benchmark, size_t count) {
  std::vector<std::string> walkers;
  std::vector<std::string> others;
  for (const RuleInfo& rule : benchmark.rules) (rule.walks_file_system ? walkers : others).push_back(rule.id);
  Parts parts(count);
  deal(walkers, parts);
  cut(others, parts);
  return parts;
}

}  // namespace

std::vector<RuleState> scan_in_parts(Evaluator& evaluator, const RootView& view, int64_t parts) {
  if (parts <= 1) return evaluator.scan(view);
  const Parts rules = parts_of(evaluator.benchmark(), static_cast<size_t>(parts));
  std::vector<std::vector<RuleState>> found(rules.size());
  std::vector<std::exception_ptr> failures(rules.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].empty()) continue;
    threads.emplace_back([&, i] {
      try {
        found[i] = evaluator.check(view, rules[i]);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
  std::map<std::string, RuleState> by_rule;
  for (std::vector<RuleState>& part : found)
    for (RuleState& state : part) by_rule.emplace(state.rule_id, std::move(state));
  std::vector<RuleState> states;
  for (const RuleInfo& rule : evaluator.benchmark().rules) {
    const auto state = by_rule.find(rule.id);
    if (state == by_rule.end()) throw Error(Code::evaluator, "the evaluation has no result for ", rule.id);
    states.push_back(std::move(state->second));
  }
  return states;
}

}  // namespace gf
