// Committer: commit, look again, and take back what did harm.
#include "runner/committer.h"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "runner/journal_bodies.h"
#include "runner/scan_in_parts.h"

namespace gf {
namespace {

bool share_a_path(const Receipt& a, const Receipt& b) {
  return std::any_of(a.changes.begin(), a.changes.end(), [&](const Change& mine) {
    return std::any_of(b.changes.begin(), b.changes.end(),
                       [&](const Change& other) { return mine.path == other.path; });
  });
}

}  // namespace

Committer::Result Committer::commit(const AttemptInput& input, const AttemptResult& attempt) {
  const std::lock_guard lock(mutex_);
  const std::vector<Change>& changes = attempt.changes->changes().changes;
  checks_.remember(attempt.access);
  const std::string commit_id = run_.target.new_commit_id(run_.run_id);
  run_.journal.append("commit_intent", {{"rule", input.rule},
                                        {"commit_id", commit_id},
                                        {"attempt", attempt.number},
                                        {"origin", origin_name(input.origin)},
                                        {"changes", changes_body(changes)}});
  const auto journal_outcome = [&](std::string_view outcome, const std::string& reason, const nlohmann::json& result) {
    run_.journal.append(
        "commit",
        {{"rule", input.rule}, {"commit_id", commit_id}, {"outcome", outcome}, {"reason", reason}, {"result", result}});
  };
  CommitResult committed;
  try {
    committed = run_.target.commit(*attempt.trial, *attempt.changes, run_.run_id, commit_id);
  } catch (const Error& error) {
    // Target::commit throws with the target as it was before.
    journal_outcome("rolled_back", error.what(), nullptr);
    throw;
  }
  if (committed.kind == CommitResult::Kind::conflict) {
    journal_outcome("conflict", committed.reason, nullptr);
    return {Outcome::conflict, committed.reason};
  }
  Result result = recheck(input, attempt, committed.receipt);
  if (result.outcome == Outcome::committed) {
    batch_.push_back({committed.receipt, input.origin});
    journal_outcome("committed", result.reason, to_text(XccdfResult::pass));
    return result;
  }
  roll_back(committed.receipt, result.reason);
  journal_outcome("rolled_back", result.reason, nullptr);
  return result;
}

Committer::Result Committer::recheck(const AttemptInput& input, const AttemptResult& attempt, const Receipt&) {
  std::vector<std::string> rules = {input.rule};
  rules.insert(rules.end(), attempt.readers.begin(), attempt.readers.end());
  const std::unique_ptr<Trial> look = run_.target.branch();
  const std::vector<RuleState> states = run_.evaluator.check(look->view(), rules);
  if (states.front().result != XccdfResult::pass)
    return {Outcome::rolled_back,
            "the rule passed in the trial and is " + std::string(to_text(states.front().result)) + " on the target"};
  const std::vector<RuleState> broken = run_.table.broken_by(states);
  if (!broken.empty())
    return {Outcome::rolled_back, "on the target the rule " + broken.front().rule_id + " is " +
                                      std::string(to_text(broken.front().result)) + " and was pass"};
  if (const auto worse = checks_.worsened_in(*look, attempt.access)) return {Outcome::rolled_back, *worse};
  run_.table.decide(input.rule, "fixed", "the rule passes on the target", input.origin);
  run_.table.update(states, input.origin, "passes since the change made for " + input.rule);
  return {Outcome::committed, "the rule passes on the target"};
}

void Committer::roll_back(const Receipt& receipt, const std::string& reason) {
  run_.journal.append("roll_back", {{"commit_id", receipt.commit_id}, {"rule", receipt.rule_id}, {"reason", reason}});
  run_.target.roll_back(receipt);
  ++rolled_back_;
  spdlog::warn("rolled back the change made for {}: {}", receipt.rule_id, reason);
}

// The number of commits that are in place when the rule first does not pass, by halving: each probe is a
// branch of the target in which the later commits are undone.
size_t Committer::culprit_of(const std::string& rule) {
  size_t passes = 0;              // with that many of the batch's commits the rule passes
  size_t breaks = batch_.size();  // with that many it does not
  while (breaks - passes > 1) {
    const size_t middle = (passes + breaks) / 2;
    const std::unique_ptr<Trial> probe = run_.target.branch();
    for (size_t i = batch_.size(); i > middle; --i) run_.target.undo_in(*probe, batch_[i - 1].receipt);
    const RuleState state = run_.evaluator.check(probe->view(), {rule}).front();
    (state.result == XccdfResult::pass ? passes : breaks) = middle;
  }
  return breaks - 1;
}

std::vector<std::string> Committer::check_batch() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> undone;
  while (!batch_.empty()) {
    const auto start = std::chrono::steady_clock::now();
    const std::unique_ptr<Trial> look = run_.target.branch();
    const std::vector<RuleState> states = scan_in_parts(run_.evaluator, look->view(), run_.job.parallel_trials);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::vector<RuleState> different;
    for (const RuleState& state : states)
      if (run_.table.get(state.rule_id).now != state.result) different.push_back(state);
    run_.journal.append("scan", {{"phase", "batch"}, {"seconds", seconds}, {"states", states_body(different)}});
    const std::vector<RuleState> broken = run_.table.broken_by(states);
    if (broken.empty()) {
      const bool by_model =
          std::any_of(batch_.begin(), batch_.end(), [](const Entry& e) { return e.origin == Origin::model; });
      const bool by_vetted =
          std::any_of(batch_.begin(), batch_.end(), [](const Entry& e) { return e.origin == Origin::vetted; });
      const auto origin =
          by_model && by_vetted ? std::nullopt : std::optional(by_model ? Origin::model : Origin::vetted);
      run_.table.update(states, origin, "passes since changes made for other rules");
      batch_.clear();
      break;
    }
    const std::string& rule = broken.front().rule_id;
    const size_t culprit = culprit_of(rule);
    const Entry entry = batch_[culprit];
    const std::string reason = "it broke the rule " + rule + ", which passed before";
    // Later commits may have built on the same files: those go first, newest first, and are tried again.
    for (size_t i = batch_.size(); i > culprit + 1; --i) {
      const Entry& later = batch_[i - 1];
      if (!share_a_path(later.receipt, entry.receipt)) continue;
      roll_back(later.receipt,
                "it changed a file of the change made for " + entry.receipt.rule_id + ", which is rolled back");
      batch_.erase(batch_.begin() + static_cast<std::ptrdiff_t>(i - 1));
    }
    roll_back(entry.receipt, reason);
    run_.table.decide(entry.receipt.rule_id, "rolled_back", reason);
    batch_.erase(batch_.begin() + static_cast<std::ptrdiff_t>(culprit));
    // What those commits had fixed must be seen anew.
    const std::unique_ptr<Trial> after = run_.target.branch();
    const std::vector<RuleState> now = scan_in_parts(run_.evaluator, after->view(), run_.job.parallel_trials);
    for (std::string& reopened : run_.table.replace(now)) undone.push_back(std::move(reopened));
  }
  return undone;
}

size_t Committer::commits_since_last_batch() const {
  const std::lock_guard lock(mutex_);
  return batch_.size();
}

size_t Committer::rolled_back() const {
  const std::lock_guard lock(mutex_);
  return rolled_back_;
}

}  // namespace gf
