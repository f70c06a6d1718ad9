// From what a run did to what its report says.
#include "runner/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/base/error.h"
#include "runner/report_replay.h"

namespace gf {
namespace {

using nlohmann::json;

bool passes(const std::string& result) { return result == "pass" || result == "fixed"; }

// "Ann" and "ann" are one person.
std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

json word_or_null(const std::optional<std::string>& word) { return word ? json(*word) : json(); }

struct Outcome {
  std::string word;
  std::string reason;
  json fixed_by;
};

// What the job said of the rule; without it, what follows from the scan.
Outcome recorded_outcome(const RuleFacts& rule, const RunFacts& facts) {
  if (!rule.outcome.is_null())
    return {rule.outcome.at("outcome").get<std::string>(), rule.outcome.at("reason").get<std::string>(),
            rule.outcome.contains("fixed_by") ? rule.outcome.at("fixed_by") : json()};
  if (!rule.before) return {"skipped", "the run ended before the target was scanned", {}};
  if (passes(*rule.before)) return {"already_passing", "", {}};
  if (*rule.before == "notapplicable") return {"not_applicable", "", {}};
  if (*rule.before != "fail") return {"not_checked", "the scan's result is " + *rule.before, {}};
  if (facts.started.at("mode") == "scan") return {"scan_only", "", {}};
  return {"skipped", "the run ended before it came to this rule", {}};
}

json waiver_of(const std::string& rule, const json& waivers) {
  json found;
  for (const json& waiver : waivers)
    if (waiver.at("rule") == rule && (found.is_null() || waiver.at("active") == true)) found = waiver;
  return found;
}

// The last scan and the waivers overrule what was recorded on the way.
Outcome final_outcome(const RuleFacts& rule, const RunFacts& facts, const json& waiver) {
  Outcome outcome = recorded_outcome(rule, facts);
  const bool scanned = rule.after && !facts.changed_since_scan;
  const bool passes_now = scanned && passes(*rule.after);
  if (outcome.word == "waived" && (waiver.is_null() || waiver.at("active") == false))
    outcome = {"not_fixed",
               waiver.is_null() ? "no waiver names this rule"
                                : "its waiver does not count: " + waiver.at("problem").get<std::string>(),
               {}};
  if (outcome.word == "fixed" && scanned && !passes_now) {
    const std::string who = outcome.fixed_by.is_null() ? "" : " by the " + outcome.fixed_by.get<std::string>() + " fix";
    outcome = {"not_fixed", "was fixed" + who + " during the run, but the last scan says " + *rule.after, {}};
  }
  const bool passed_before = rule.before && passes(*rule.before);
  if (passes_now && !passed_before && outcome.word != "fixed" && outcome.word != "needs_reboot") {
    const std::string own = outcome.reason.empty() ? outcome.word : outcome.word + ": " + outcome.reason;
    outcome = {"fixed", "passes since the fixes of other rules were committed (its own: " + own + ")", {}};
  }
  return outcome;
}

// What the rule is at the end, in five words: the reader's question is "is this still open?"
std::string standing_of(const RuleFacts& rule, const RunFacts& facts, const Outcome& outcome, const json& waiver) {
  const bool scanned = rule.after && !facts.changed_since_scan;
  if (!scanned && outcome.word == "fixed") return "passes";
  if (!scanned && !rule.before) return "not_judged";
  const std::string& result = scanned ? *rule.after : *rule.before;
  if (passes(result)) return "passes";
  if (result == "fail") return !waiver.is_null() && waiver.at("active") == true ? "waived" : "finding";
  if (result == "notapplicable") return "not_applicable";
  if (result == "error" || result == "unknown" || result == "notchecked") return "to_review";
  return "not_judged";  // informational, notselected
}

json files_changed(const std::string& rule, const RunFacts& facts) {
  json files = json::array();
  for (const std::string& id : facts.commit_order) {
    const CommitFacts& commit = facts.commits.at(id);
    if (commit.rule != rule || commit.outcome != "committed") continue;
    for (const json& change : commit.changes) {
      files.push_back(change);
      files.back()["commit_id"] = id;
    }
  }
  return files;
}

int64_t attempts_by(const json& attempts, std::string_view origin) {
  return std::count_if(attempts.begin(), attempts.end(),
                       [&](const json& attempt) { return attempt.at("origin") == origin; });
}

json rule_json(const RuleFacts& rule, const RunFacts& facts, const json& waivers) {
  const std::string id = rule.info.at("id").get<std::string>();
  const json waiver = waiver_of(id, waivers);
  const Outcome outcome = final_outcome(rule, facts, waiver);
  const bool scanned = rule.after && !facts.changed_since_scan;
  json entry = rule.info;
  entry["before"] = word_or_null(rule.before);
  entry["after"] = scanned ? json(*rule.after) : json();
  entry["outcome"] = outcome.word;
  entry["reason"] = outcome.reason;
  entry["fixed_by"] = outcome.fixed_by;
  entry["standing"] = standing_of(rule, facts, outcome, waiver);
  entry["attempts"] = rule.attempts;
  entry["vetted_attempts"] = attempts_by(rule.attempts, "vetted");
  entry["model_attempts"] = attempts_by(rule.attempts, "model");
  entry["files_changed"] = files_changed(id, facts);
  entry["evidence_before"] = rule.evidence_before;
  entry["evidence"] = scanned ? rule.evidence_after : rule.evidence_before;
  entry["waiver"] = waiver;
  entry["seconds"] = rule.outcome.is_null() ? json() : rule.outcome.at("seconds");
  return entry;
}

json waivers_json(const RunFacts& facts) {
  const Time at = parse_time(facts.started.at("started").get<std::string>(), "started");
  json list = json::array();
  for (json waiver : facts.waivers) {
    std::string problem =
        waiver_problem(waiver.at("author").get<std::string>(), waiver.at("approver").get<std::string>(),
                       waiver.at("expires").get<std::string>(), at);
    if (problem.empty() && waiver.at("active") == false) problem = "the job did not accept it";
    waiver["active"] = problem.empty();
    waiver["problem"] = problem;
    list.push_back(std::move(waiver));
  }
  return list;
}

json no_results() {
  json totals = json::object();
  for (const char* word :
       {"pass", "fail", "error", "unknown", "notapplicable", "notchecked", "notselected", "informational", "fixed"})
    totals[word] = 0;
  return totals;
}

void count(json& totals, const json& key) {
  json& number = totals[key.get<std::string>()];
  number = number.is_null() ? 1 : number.get<int64_t>() + 1;
}

// {"before": {...}, "after": {...}} over the rules of one severity ("" for all); null without a scan.
json totals_json(const json& rules, std::string_view severity) {
  json totals = {{"before", nullptr}, {"after", nullptr}};
  for (const json& rule : rules) {
    if (!severity.empty() && rule.at("severity") != severity) continue;
    for (const char* when : {"before", "after"}) {
      if (rule.at(when).is_null()) continue;
      if (totals[when].is_null()) totals[when] = no_results();
      count(totals[when], rule.at(when));
    }
  }
  return totals;
}

int64_t count_where(const json& rules, const char* key, std::string_view word) {
  return std::count_if(rules.begin(), rules.end(), [&](const json& rule) { return rule.at(key) == word; });
}

int64_t count_fixed(const json& rules, std::string_view outcome, const json& by) {
  return std::count_if(rules.begin(), rules.end(),
                       [&](const json& rule) { return rule.at("outcome") == outcome && rule.at("fixed_by") == by; });
}

json severities_json(const json& rules) {
  std::set<std::string> words;
  for (const json& rule : rules) words.insert(rule.at("severity").get<std::string>());
  json severities = json::object();
  for (const std::string& word : words) {
    json of_word = json::array();
    for (const json& rule : rules)
      if (rule.at("severity") == word) of_word.push_back(rule);
    json entry = totals_json(of_word, "");
    entry["rules"] = of_word.size();
    entry["open_findings"] = count_where(of_word, "standing", "finding");
    entry["waived_findings"] = count_where(of_word, "standing", "waived");
    entry["to_review"] = count_where(of_word, "standing", "to_review");
    entry["fixed"] = count_where(of_word, "outcome", "fixed");
    severities[word] = std::move(entry);
  }
  return severities;
}

json attempt_counts(const json& rules) {
  json counts = {{"vetted", json::object()}, {"model", json::object()}};
  for (const json& rule : rules)
    for (const json& attempt : rule.at("attempts"))
      count(counts[attempt.at("origin").get<std::string>()],
            attempt.at("outcome").is_null() ? json("interrupted") : attempt.at("outcome"));
  return counts;
}

json regressed_rules(const json& rules) {
  json worse = json::array();
  for (const json& rule : rules)
    if (rule.at("before") == "pass" && !rule.at("after").is_null() && !passes(rule.at("after").get<std::string>()))
      worse.push_back(rule.at("id"));
  return worse;
}

json counts_json(const json& rules, const json& commits) {
  int64_t vetted = 0;
  int64_t model = 0;
  json outcomes = json::object();
  for (const json& rule : rules) {
    vetted += rule.at("vetted_attempts").get<int64_t>();
    model += rule.at("model_attempts").get<int64_t>();
    count(outcomes, rule.at("outcome"));
  }
  std::set<std::string> paths;
  for (const json& rule : rules)
    for (const json& change : rule.at("files_changed")) paths.insert(change.at("path").get<std::string>());
  return {{"rules", rules.size()},
          {"fixed", count_where(rules, "outcome", "fixed")},
          {"fixed_by_vetted", count_fixed(rules, "fixed", "vetted")},
          {"fixed_by_model", count_fixed(rules, "fixed", "model")},
          {"fixed_as_side_effect", count_fixed(rules, "fixed", nullptr)},
          {"trial_passed_by_vetted", count_fixed(rules, "trial_only", "vetted")},
          {"trial_passed_by_model", count_fixed(rules, "trial_only", "model")},
          {"open_findings", count_where(rules, "standing", "finding")},
          {"waived_findings", count_where(rules, "standing", "waived")},
          {"to_review", count_where(rules, "standing", "to_review")},
          {"regressed", regressed_rules(rules).size()},
          {"vetted_attempts", vetted},
          {"model_attempts", model},
          {"attempts_by_outcome", attempt_counts(rules)},
          {"commits", count_where(commits, "outcome", "committed")},
          {"commits_rolled_back", count_where(commits, "outcome", "rolled_back")},
          {"files_changed", paths.size()},
          {"outcomes", outcomes}};
}

json commits_json(const RunFacts& facts) {
  json list = json::array();
  for (const std::string& id : facts.commit_order) {
    const CommitFacts& commit = facts.commits.at(id);
    list.push_back({{"commit_id", id},
                    {"rule", commit.rule},
                    {"attempt", commit.attempt},
                    {"origin", commit.origin},
                    {"outcome", commit.outcome},
                    {"reason", commit.reason},
                    {"result", commit.result},
                    {"changes", commit.changes},
                    {"time", format_time(commit.time)}});
  }
  return list;
}

json run_json(const RunFacts& facts) {
  const json& started = facts.started;
  const json& finished = facts.finished;
  const std::string end =
      finished.is_null() ? format_time(facts.last_time) : finished.at("finished").get<std::string>();
  const auto seconds = parse_time(end, "finished") - parse_time(started.at("started").get<std::string>(), "started");
  return {{"id", started.at("run_id")},
          {"version", started.at("version")},
          {"host", started.at("host")},
          {"started", started.at("started")},
          {"finished", finished.is_null() ? json() : json(end)},
          {"seconds", std::max<int64_t>(0, seconds.count())},
          {"reason", finished.is_null() ? json("the journal ends without run_finished") : finished.at("reason")},
          {"exit_code", finished.is_null() ? json() : finished.at("exit_code")},
          {"clock", started.at("clock")},
          {"entries", facts.entries}};
}

json digests_json(const RunFacts& facts) {
  const auto of = [&](const char* key) { return facts.started.contains(key) ? facts.started.at(key) : json(); };
  return {{"job", facts.started.at("job_digest")}, {"content", of("content")}, {"policy", of("policy_digest")},
          {"trust", of("trust_digest")},           {"prompts", facts.prompts}, {"previous_run", of("previous_run")},
          {"journal_head", facts.head.hex()}};
}

json times_json(const RunFacts& facts, const json& rules) {
  json seconds = {{"vetted", 0.0}, {"model", 0.0}};
  for (const json& rule : rules)
    for (const json& attempt : rule.at("attempts")) {
      if (attempt.at("seconds").is_null()) continue;
      json& sum = seconds[attempt.at("origin").get<std::string>()];
      sum = sum.get<double>() + attempt.at("seconds").get<double>();
    }
  return {{"scans", facts.scans}, {"attempt_seconds", seconds}};
}

}  // namespace

json build_report(const std::vector<JournalEntry>& entries) {
  RunFacts facts = replay(entries);
  // Nothing reaches the target in these modes, so what held before holds after.
  const json& mode = facts.started.at("mode");
  if (facts.scanned_before && !facts.scanned_after && (mode == "scan" || mode == "trial"))
    for (RuleFacts& rule : facts.rules) rule.after = rule.before, rule.evidence_after = rule.evidence_before;

  const json waivers = waivers_json(facts);
  json rules = json::array();
  for (const RuleFacts& rule : facts.rules) rules.push_back(rule_json(rule, facts, waivers));
  const json commits = commits_json(facts);
  json report;
  report["schema_version"] = kReportSchemaVersion;
  report["run"] = run_json(facts);
  report["target"] = facts.started.at("target");
  report["mode"] = mode;
  report["status"] = facts.finished.is_null() ? json("interrupted") : facts.finished.at("status");
  report["profile"] = facts.benchmark;
  report["totals"] = totals_json(rules, "");
  report["by_severity"] = severities_json(rules);
  report["counts"] = counts_json(rules, commits);
  report["regressed"] = regressed_rules(rules);
  report["digests"] = digests_json(facts);
  report["bundles"] = facts.started.at("bundles");
  report["models"] = facts.models;
  report["demo_model"] =
      std::any_of(facts.models.begin(), facts.models.end(), [](const json& model) { return model.at("demo") == true; });
  report["waivers"] = waivers;
  report["commits"] = commits;
  report["roll_backs"] = facts.roll_backs;
  report["recovered"] = facts.recovered;
  report["notes"] = facts.notes;
  report["times"] = times_json(facts, rules);
  report["rules"] = std::move(rules);
  return report;
}

std::string report_text(const json& report) { return report.dump(1, ' ', false, json::error_handler_t::strict) + "\n"; }

std::string waiver_problem(std::string_view author, std::string_view approver, std::string_view expires, Time now) {
  const std::string by = lower_case(trimmed(author));
  const std::string agreed = lower_case(trimmed(approver));
  if (by.empty() || agreed.empty()) return "it needs an author and an approver";
  if (by == agreed) return "its approver is its author";
  const Time end = parse_time(expires, "expires");
  if (now >= end) return "it expired on " + format_time(end);
  return "";
}

}  // namespace gf
