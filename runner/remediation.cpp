// The loop.
#include "runner/remediation.h"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <nlohmann/json.hpp>
#include <thread>

#include "policy/named_paths.h"
#include "runner/model_turn.h"
#include "runner/models.h"

namespace gf {
namespace {

// A trial is repeated when the target changed under it; more often than this, something is wrong.
constexpr int kMostConflicts = 5;
// Commits after which the whole profile is scanned again within a phase.
constexpr size_t kBatch = 200;

int64_t model_attempts_of(const RunContext& run) {
  if (run.models == nullptr) return 0;
  const int64_t asked = run.manifest.model_attempts;
  return run.job.narrow.model_attempts ? std::min(asked, *run.job.narrow.model_attempts) : asked;
}

bool listed(const std::vector<std::string>& rules, const std::string& rule) {
  return std::find(rules.begin(), rules.end(), rule) != rules.end();
}

// Files that the vetted fix names: what makes two rules unfit to be worked on at the same time.
std::vector<std::string> touched_by(const RuleInfo& rule) {
  return rule.bash_fix ? paths_named_in(rule.bash_fix->script) : std::vector<std::string>();
}

std::string why_not_fixed(const RuleRecord& record) {
  if (record.history.empty())
    return record.info->bash_fix ? "no attempt was made"
                                 : "the content has no fix for it, and no model attempt was left";
  const AttemptSummary& newest = record.history.back();
  return newest.origin + ": " + newest.reason;
}

}  // namespace

Remediation::Remediation(const RunContext& run)
    : run_(run), checks_(run), committer_(run_, checks_), model_attempts_left_(model_attempts_of(run)) {}

void Remediation::run() {
  decide_untouched();
  run_phase(chosen(false, false), Steps::vetted);
  run_phase(worth_repeating(), Steps::vetted);
  run_phase(chosen(false, false), Steps::model);
  run_phase(chosen(true, false), Steps::both);
  run_phase(chosen(false, true), Steps::both);
  decide_the_rest(run_.stop.requested() ? run_.stop.reason() : "");
}

void Remediation::decide_the_rest(const std::string& why_ended) {
  for (const std::string& rule : run_.table.undecided()) {
    const RuleRecord record = run_.table.get(rule);
    if (!why_ended.empty() && record.history.empty()) {
      run_.table.decide(rule, "skipped", why_ended);
      continue;
    }
    const bool refused = !record.history.empty() && record.history.back().outcome == "refused";
    run_.table.decide(rule, refused ? "refused" : "not_fixed", why_not_fixed(record));
  }
}

// Everything that is not a finding, is waived, or was not asked for.
void Remediation::decide_untouched() {
  const Time now = system_time();
  const bool all = listed(run_.manifest.rules, "*");
  for (const std::string& rule : run_.table.all()) {
    const RuleRecord record = run_.table.get(rule);
    const auto decide = [&](const char* outcome, const std::string& reason) {
      run_.table.decide(rule, outcome, reason);
    };
    switch (record.before) {
      case XccdfResult::pass:
      case XccdfResult::fixed: decide("already_passing", ""); continue;
      case XccdfResult::notapplicable:
      case XccdfResult::notselected: decide("not_applicable", ""); continue;
      case XccdfResult::notchecked:
      case XccdfResult::informational: decide("not_checked", "the content has no automatic check for it"); continue;
      case XccdfResult::error:
      case XccdfResult::unknown: decide("error", "the scanner could not tell: " + record.evidence); continue;
      case XccdfResult::fail: break;
    }
    const auto waiver = std::find_if(run_.manifest.waivers.begin(), run_.manifest.waivers.end(), [&](const Waiver& w) {
      return w.rule == rule && why_waiver_does_not_count(w, now).empty();
    });
    if (waiver != run_.manifest.waivers.end()) {
      decide("waived", waiver->reason);
    } else if (run_.job.mode == Mode::scan) {
      decide("scan_only", "the job only scans");
    } else if ((!all && !listed(run_.manifest.rules, rule)) || listed(run_.manifest.exclude, rule)) {
      decide("skipped", "the signed job does not ask for it");
    } else if ((!run_.job.narrow.rules.empty() && !listed(run_.job.narrow.rules, rule)) ||
               listed(run_.job.narrow.exclude, rule)) {
      decide("skipped", "job.toml leaves it out");
    }
  }
}

// Undecided rules, those that are slow to evaluate last.
std::vector<std::string> Remediation::chosen(bool constrained, bool last) const {
  std::vector<std::string> rules;
  for (const std::string& rule : run_.table.undecided()) {
    const auto order = std::find_if(run_.manifest.order.begin(), run_.manifest.order.end(),
                                    [&](const OrderConstraint& o) { return o.rule == rule; });
    const bool is_last = order != run_.manifest.order.end() && order->last;
    const bool has_after = order != run_.manifest.order.end() && !order->after.empty();
    if (is_last == last && (last || has_after == constrained)) rules.push_back(rule);
  }
  std::stable_partition(rules.begin(), rules.end(),
                        [&](const std::string& rule) { return !run_.table.get(rule).info->walks_file_system; });
  return rules;
}

// Those whose vetted fix ran and was not enough: other changes may have made room for it meanwhile.
std::vector<std::string> Remediation::worth_repeating() const {
  std::vector<std::string> rules = chosen(false, false);
  std::erase_if(rules, [&](const std::string& rule) {
    const RuleRecord record = run_.table.get(rule);
    return record.history.empty() || !record.history.back().worth_repeating;
  });
  return rules;
}

void Remediation::run_phase(const std::vector<std::string>& rules, Steps steps) {
  if (rules.empty() || run_.stop.requested() || run_.job.mode == Mode::scan) return;
  std::vector<ScheduledRule> scheduled;
  for (const std::string& rule : rules) {
    const auto order = std::find_if(run_.manifest.order.begin(), run_.manifest.order.end(),
                                    [&](const OrderConstraint& o) { return o.rule == rule; });
    scheduled.push_back({rule, order == run_.manifest.order.end() ? std::vector<std::string>() : order->after, false,
                         touched_by(*run_.table.get(rule).info)});
  }
  Schedule schedule(std::move(scheduled));
  work(schedule, steps);
  committer_.check_batch();
}

// The workers of one phase. A worker that finds nothing to start waits until another one has finished.
void Remediation::work(Schedule& schedule, Steps steps) {
  std::mutex mutex;
  std::condition_variable finished;
  std::exception_ptr failure;
  const auto worker = [&] {
    std::unique_lock lock(mutex);
    while (!schedule.all_started() && !failure && !run_.stop.requested()) {
      const std::optional<std::string> rule = schedule.start_next();
      if (!rule) {
        finished.wait(lock);
        continue;
      }
      lock.unlock();
      try {
        work_on_safely(*rule, steps);
        if (committer_.commits_since_last_batch() >= kBatch) committer_.check_batch();
      } catch (...) {
        const std::lock_guard guard(mutex);
        if (!failure) failure = std::current_exception();
      }
      lock.lock();
      schedule.finish(*rule);
      finished.notify_all();
    }
  };
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < run_.job.parallel_trials; ++i) threads.emplace_back(worker);
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

bool Remediation::out_of_time(const std::string& rule) const {
  return run_.stop.requested() || run_.table.get(rule).seconds >= static_cast<double>(run_.manifest.seconds_per_rule);
}

// The rule boundary: what goes wrong with one rule is that rule's outcome. A defect of this program, or a
// target that is neither before nor after, ends the run.
void Remediation::work_on_safely(const std::string& rule, Steps steps) {
  try {
    work_on(rule, steps);
  } catch (const Error& error) {
    if (error.code() == Code::internal || error.code() == Code::recovery) throw;
    spdlog::error("{}: {}", rule, printable(error.what()));
    run_.table.decide(rule, "error", error.what());
  }
}

void Remediation::work_on(const std::string& rule, Steps steps) {
  const RuleRecord record = run_.table.get(rule);
  if (!record.outcome.empty()) return;  // another rule's change has fixed it meanwhile
  if (steps != Steps::model && record.info->bash_fix) {
    if (apply_fix({rule, Origin::vetted, record.info->bash_fix->script, std::nullopt})) return;
  }
  if (steps != Steps::vetted) try_model(rule);
}

bool Remediation::apply_fix(const AttemptInput& input) {
  for (int conflicts = 0; conflicts < kMostConflicts; ++conflicts) {
    const AttemptResult attempt = try_fix(run_, checks_, input);
    if (attempt.kind == AttemptResult::Kind::already_passes) {
      run_.table.decide(input.rule, "fixed", "passes since a change made for another rule");
      return true;
    }
    if (attempt.kind != AttemptResult::Kind::passed) {
      spdlog::info("{}: {} by the {}: {}", input.rule, to_text(attempt.kind), origin_name(input.origin),
                   printable(shortened(attempt.reason, 200)));
      return false;
    }
    if (run_.job.mode == Mode::trial) {
      run_.table.decide(input.rule, "trial_only", "the fix passes in a trial; nothing was changed on the target");
      return true;
    }
    const Committer::Result committed = committer_.commit(input, attempt);
    if (committed.outcome == Committer::Outcome::committed) {
      spdlog::info("{}: fixed by the {} fix", input.rule, origin_name(input.origin));
      return true;
    }
    if (committed.outcome == Committer::Outcome::rolled_back) {
      run_.table.decide(input.rule, "rolled_back", committed.reason);
      return true;
    }
    if (out_of_time(input.rule)) return false;
  }
  return false;
}

bool Remediation::take_model_attempt() {
  int64_t left = model_attempts_left_.load();
  while (left > 0 && !model_attempts_left_.compare_exchange_weak(left, left - 1)) {
  }
  return left > 0;
}

// Where the policy lets no script of the model near a rule, whatever it says, the model is not asked.
bool Remediation::model_may_try(const std::string& rule) {
  const auto judged = run_.gate.approve(Proposal{rule, Origin::model, "bash", "true\n", {}});
  const Refusal* refusal = std::get_if<Refusal>(&judged);
  if (refusal == nullptr) return true;
  const RuleRecord record = run_.table.get(rule);
  const std::string policy = "the policy lets no script of the model near it (" + refusal->rule + ")";
  if (record.history.empty())
    run_.table.decide(rule, "refused", "the content has no fix for it, and " + policy);
  else
    run_.table.decide(rule, "not_fixed", why_not_fixed(record) + "; " + policy);
  return false;
}

void Remediation::try_model(const std::string& rule) {
  if (run_.models == nullptr || run_.manifest.attempts_per_rule == 0 || !model_may_try(rule)) return;
  const auto cancelled = [&] { return run_.stop.requested(); };
  for (int64_t attempt = 0; attempt < run_.manifest.attempts_per_rule; ++attempt) {
    if (out_of_time(rule) || !take_model_attempt()) return;
    const auto start = std::chrono::steady_clock::now();
    const ModelTurn turn = ask_for_plan(run_, run_.table.get(rule), cancelled);
    if (!turn.plan) {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      record_invalid_output(run_, rule, turn.reason, seconds);
      continue;
    }
    if (apply_fix({rule, Origin::model, turn.plan->script, turn.plan})) return;
    const std::string lesson = ask_for_lesson(run_, run_.table.get(rule), cancelled);
    if (!lesson.empty()) run_.table.set_lesson(rule, lesson);
  }
}

}  // namespace gf
