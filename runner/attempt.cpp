// try_fix: the straight line of one attempt.
#include "runner/attempt.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "policy/named_paths.h"
#include "policy/redacted.h"
#include "runner/journal_bodies.h"

namespace gf {
namespace {

using nlohmann::json;

// What is written down about an attempt, filled in as it goes on.
struct Diagnostics {
  std::optional<int> exit_code;
  std::string output;
  std::optional<XccdfResult> result;
  std::string evidence;
  std::vector<Change> changes;
  std::vector<std::string> companions;  // rules whose vetted fixes ran in the same trial
};

std::vector<std::string> named_by(const RuleInfo& rule) {
  std::vector<std::string> named = rule.read_paths;
  const auto add = [&](std::string_view text) {
    for (std::string& path : paths_named_in(text)) named.push_back(std::move(path));
  };
  add(rule.description);
  add(rule.fix_text);
  if (rule.bash_fix) add(rule.bash_fix->script);
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  return named;
}

AttemptResult finished(AttemptResult::Kind kind, std::string reason) {
  AttemptResult result;
  result.kind = kind;
  result.reason = std::move(reason);
  return result;
}

AttemptResult refused(const Refusal& refusal) {
  AttemptResult result = finished(AttemptResult::Kind::refused, refusal.reason);
  result.refused_by = refusal.rule;
  return result;
}

std::string names_of(const std::vector<RuleState>& states) {
  std::string names;
  for (const RuleState& state : states)
    names += (names.empty() ? "" : ", ") + state.rule_id + " (" + std::string(to_text(state.result)) + ")";
  return names;
}

bool same_paths(const std::vector<Change>& a, const std::vector<Change>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Change& x, const Change& y) {
    return x.path == y.path && x.after.content == y.after.content;
  });
}

// The rule and all that read a changed file, evaluated in the trial.
struct Look {
  std::vector<std::string> readers;
  std::vector<RuleState> broken;
};

Look look_at(const RunContext& run, Trial& trial, const std::string& rule, const std::vector<Change>& changes,
             Diagnostics& seen) {
  Look look;
  look.readers = run.table.readers_of(changes, rule);
  std::vector<std::string> rules = {rule};
  rules.insert(rules.end(), look.readers.begin(), look.readers.end());
  const std::vector<RuleState> states = run.evaluator.check(trial.view(), rules);
  seen.result = states.front().result;
  seen.evidence = states.front().evidence;
  look.broken = run.table.broken_by(states);
  return look;
}

// A fix often makes a file that another rule's fix would give its mode or owner. Where each rule that would
// break has a vetted fix, those run in the same trial. False: one of them has none, or may not run.
bool run_companions(const RunContext& run, Trial& trial, const std::vector<RuleState>& broken,
                    std::vector<std::string>& named, Diagnostics& seen) {
  for (const RuleState& state : broken) {
    const RuleInfo& rule = *run.table.get(state.rule_id).info;
    if (!rule.bash_fix) return false;
    const std::vector<std::string> also_named = named_by(rule);
    const auto judged = run.gate.approve(Proposal{rule.id, Origin::vetted, "bash", rule.bash_fix->script, also_named});
    if (!std::holds_alternative<ApprovedScript>(judged)) return false;
    const ScriptResult outcome = trial.run(std::get<ApprovedScript>(judged), run.limits);
    seen.output += "\n[the vetted fix of " + rule.id + ", exit status " + std::to_string(outcome.exit_code) + "]\n" +
                   outcome.output;
    seen.companions.push_back(rule.id);
    named.insert(named.end(), also_named.begin(), also_named.end());
  }
  return true;
}

// Everything after the gate's first word; `seen` holds what is known when it returns or throws.
AttemptResult run_in_trial(const RunContext& run, Checks& checks, const AttemptInput& input,
                           const ApprovedScript& script, std::vector<std::string> named, Diagnostics& seen) {
  std::unique_ptr<Trial> trial = run.target.branch();
  const RuleState untouched = run.evaluator.check(trial->view(), {input.rule}).front();
  if (untouched.result == XccdfResult::pass) {
    seen.result = untouched.result;
    return finished(AttemptResult::Kind::already_passes, "the rule passes on the target as it is now");
  }
  const ScriptResult outcome = trial->run(script, run.limits);
  seen.exit_code = outcome.exit_code;
  seen.output = outcome.output;
  ChangeSet changes = trial->changes(input.rule, input.origin, named);
  seen.changes = changes.changes;
  if (outcome.timed_out)
    return finished(AttemptResult::Kind::failed,
                    "the script was stopped after " + std::to_string(run.limits.seconds) + " seconds");

  Look look = look_at(run, *trial, input.rule, changes.changes, seen);
  if (*seen.result == XccdfResult::pass && !look.broken.empty() &&
      run_companions(run, *trial, look.broken, named, seen)) {
    changes = trial->changes(input.rule, input.origin, named);
    seen.changes = changes.changes;
    look = look_at(run, *trial, input.rule, changes.changes, seen);
  }
  if (*seen.result != XccdfResult::pass)
    return finished(AttemptResult::Kind::failed, "after the script the rule is " + std::string(to_text(*seen.result)));
  if (changes.changes.empty())
    return finished(AttemptResult::Kind::failed, "the rule passes in the trial, but no file of the target was changed");
  if (!look.broken.empty())
    return finished(AttemptResult::Kind::failed, "rules that pass would not pass any more: " + names_of(look.broken));

  AttemptResult result;
  if (const auto judged = run.gate.approve(changes); const Refusal* refusal = std::get_if<Refusal>(&judged))
    return refused(*refusal);
  result.access = run.gate.access_checks(changes);
  if (const auto worse = checks.worsened_in(*trial, result.access))
    return finished(AttemptResult::Kind::unhealthy, *worse);
  // A check runs programs of the target: what is committed is what is there after it, judged once more.
  std::variant<ApprovedChanges, Refusal> judged = run.gate.approve(trial->changes(input.rule, input.origin, named));
  if (const Refusal* refusal = std::get_if<Refusal>(&judged)) return refused(*refusal);
  if (!same_paths(std::get<ApprovedChanges>(judged).changes().changes, changes.changes))
    return finished(AttemptResult::Kind::unhealthy,
                    "the health or access checks changed files of the trial themselves");
  result.kind = AttemptResult::Kind::passed;
  result.reason = "the rule passes in the trial";
  for (const std::string& companion : seen.companions)
    result.reason += "; the vetted fix of " + companion + " ran after it";
  result.trial = std::move(trial);
  result.changes.emplace(std::get<ApprovedChanges>(std::move(judged)));
  result.readers = std::move(look.readers);
  return result;
}

AttemptSummary summary_of(const AttemptInput& input, const AttemptResult& result, const Diagnostics& seen) {
  AttemptSummary summary;
  summary.origin = input.origin == Origin::vetted ? "vendor fix" : "model";
  summary.outcome = to_text(result.kind);
  summary.reason = result.reason;
  summary.script = input.script;
  summary.output = seen.output;
  summary.evidence = seen.evidence;
  for (const Change& change : seen.changes) summary.changed_files.push_back(change.path);
  summary.worth_repeating = result.kind == AttemptResult::Kind::failed && seen.result.has_value();
  return summary;
}

json attempt_body(const AttemptInput& input, const AttemptResult& result, const Diagnostics& seen, double seconds) {
  json body = {{"rule", input.rule},
               {"attempt", result.number},
               {"origin", origin_name(input.origin)},
               {"outcome", result.kind == AttemptResult::Kind::already_passes ? "passed" : to_text(result.kind)},
               {"reason", result.reason},
               {"output", seen.output},
               {"evidence", seen.evidence},
               {"changes", changes_body(seen.changes)},
               {"seconds", seconds}};
  if (!result.refused_by.empty()) body["refused_by"] = result.refused_by;
  if (seen.exit_code) body["exit_code"] = *seen.exit_code;
  if (seen.result) body["result"] = to_text(*seen.result);
  if (!seen.companions.empty()) body["companions"] = seen.companions;
  if (input.plan) body["plan"] = to_json(*input.plan);
  return body;
}

}  // namespace

std::string_view to_text(AttemptResult::Kind kind) {
  switch (kind) {
    case AttemptResult::Kind::passed: return "passed";
    case AttemptResult::Kind::already_passes: return "already passes";
    case AttemptResult::Kind::failed: return "failed";
    case AttemptResult::Kind::refused: return "refused";
    case AttemptResult::Kind::unhealthy: return "unhealthy";
    case AttemptResult::Kind::error: return "error";
  }
  return "error";
}

AttemptResult try_fix(const RunContext& run, Checks& checks, AttemptInput input) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t number = run.table.next_attempt_number(input.rule);
  const std::string shown_script = redacted(input.script);
  run.journal.append("attempt_intent", {{"rule", input.rule},
                                        {"attempt", number},
                                        {"origin", origin_name(input.origin)},
                                        {"script_digest", sha384(input.script).hex()},
                                        {"script", shown_script}});
  const std::vector<std::string> named = named_by(*run.table.get(input.rule).info);
  Diagnostics seen;
  AttemptResult result;
  try {
    const auto judged = run.gate.approve(Proposal{input.rule, input.origin, "bash", input.script, named});
    if (const Refusal* refusal = std::get_if<Refusal>(&judged)) {
      result = refused(*refusal);
    } else {
      result = run_in_trial(run, checks, input, std::get<ApprovedScript>(judged), named, seen);
    }
  } catch (const Error& error) {
    if (error.code() == Code::internal) throw;
    result = finished(AttemptResult::Kind::error, error.what());
  }
  result.number = number;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  run.journal.append("attempt", attempt_body(input, result, seen, seconds));
  input.script = shown_script;
  run.table.add_attempt(input.rule, summary_of(input, result, seen), input.origin, seconds);
  return result;
}

void record_invalid_output(const RunContext& run, const std::string& rule, const std::string& reason, double seconds) {
  const int64_t number = run.table.next_attempt_number(rule);
  run.journal.append("attempt_intent", {{"rule", rule},
                                        {"attempt", number},
                                        {"origin", origin_name(Origin::model)},
                                        {"script_digest", sha384("").hex()},
                                        {"script", ""}});
  run.journal.append("attempt", {{"rule", rule},
                                 {"attempt", number},
                                 {"origin", origin_name(Origin::model)},
                                 {"outcome", "invalid_output"},
                                 {"reason", reason},
                                 {"output", ""},
                                 {"evidence", ""},
                                 {"changes", json::array()},
                                 {"seconds", seconds}});
  AttemptSummary summary;
  summary.origin = "model";
  summary.outcome = "invalid output";
  summary.reason = reason;
  run.table.add_attempt(rule, std::move(summary), Origin::model, seconds);
}

}  // namespace gf
