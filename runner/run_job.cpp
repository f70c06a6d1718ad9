// The main job, top to bottom: what happens, in the order in which it happens.
#include "runner/run_job.h"

#include <spdlog/spdlog.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "runner/journal_bodies.h"
#include "runner/models.h"
#include "runner/record.h"
#include "runner/remediation.h"
#include "runner/report_folder.h"
#include "runner/scan_in_parts.h"
#include "runner/setup.h"
#include "runner/signer.h"

namespace gf {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// "20261121T055300Z-3fa8": sorts by time, and two runs of one second differ.
std::string new_run_id() {
  std::string time = format_time(system_time());
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  std::array<char, 8> suffix{};
  std::snprintf(suffix.data(), suffix.size(), "-%04x", std::random_device{}() & 0xFFFFU);
  return time + suffix.data();
}

json models_body(const Models* models) {
  json body = {{"models", json::array()}, {"prompts", json::array()}};
  if (models == nullptr) return body;
  for (const Models::Loaded& model : models->loaded())
    body["models"].push_back({{"name", model.name},
                              {"roles", model.roles},
                              {"digest", model.digest.hex()},
                              {"format", model.format},
                              {"bytes", model.bytes},
                              {"demo", model.demo},
                              {"note", model.note}});
  for (const auto& [name, digest] : models->prompts())
    body["prompts"].push_back({{"name", name}, {"digest", digest.hex()}});
  return body;
}

json waivers_body(const JobManifest& manifest) {
  json list = json::array();
  for (const Waiver& waiver : manifest.waivers)
    list.push_back({{"rule", waiver.rule},
                    {"approver", waiver.approver},
                    {"author", waiver.author},
                    {"reason", waiver.reason},
                    {"expires", waiver.expires},
                    {"active", why_waiver_does_not_count(waiver, system_time()).empty()}});
  return {{"waivers", std::move(list)}};
}

std::string counts_of(const std::vector<RuleState>& states) {
  std::string text;
  for (const XccdfResult result : kXccdfResults) {
    const auto count =
        std::count_if(states.begin(), states.end(), [&](const RuleState& s) { return s.result == result; });
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(to_text(result));
  }
  return text;
}

// With `xccdf`: one evaluation of all rules, which has a results document.
std::vector<RuleState> scan_target(Target& target, Evaluator& evaluator, Journal& journal, const std::string& phase,
                                   int64_t parts, std::vector<std::byte>* xccdf = nullptr) {
  const auto start = Clock::now();
  // A scan looks through a branch that is thrown away: probes cannot write to the target.
  const std::unique_ptr<Trial> look = target.branch();
  std::vector<RuleState> states =
      xccdf != nullptr ? evaluator.scan(look->view(), xccdf) : scan_in_parts(evaluator, look->view(), parts);
  json body = {{"phase", phase}, {"seconds", seconds_since(start)}, {"states", states_body(states)}};
  if (xccdf != nullptr && !xccdf->empty()) body["xccdf_digest"] = sha384(*xccdf).hex();
  journal.append("scan", std::move(body));
  spdlog::info("scan ({}): {}", phase, counts_of(states));
  return states;
}

void journal_recovery(Journal& journal, const Recovery& recovery) {
  if (recovery.kind == Recovery::Kind::nothing_open) return;
  const std::string what = recovery.kind == Recovery::Kind::rolled_back
                               ? "an interrupted commit was taken back: the target is as before it"
                               : "an interrupted commit was complete: the target is as after it";
  journal.append("recovered", {{"what", what}, {"commit_id", recovery.commit_id}, {"rule", recovery.rule_id}});
  spdlog::warn("{} (commit {}, rule {})", what, recovery.commit_id, recovery.rule_id);
}

// Of a command that scans nothing and writes no report.
Journal start_short_journal(const Job& job, const std::string& mode, const Recovery& recovery) {
  RunStart start;
  start.run_id = new_run_id();
  start.mode = mode;
  start.job = &job;
  start.previous_run = head_of_latest_run(job.state).value_or(Digest{});
  Journal journal = Journal::create(job.state, start.run_id, start.previous_run);
  journal.append("run_started", run_started_body(start));
  journal_recovery(journal, recovery);
  return journal;
}

size_t journal_outcomes(Journal& journal, const RuleTable& table) {
  size_t findings = 0;
  for (const std::string& rule : table.all()) {
    const RuleRecord record = table.get(rule);
    const bool open = record.now != XccdfResult::pass && record.outcome != "not_applicable" &&
                      record.outcome != "waived" && record.outcome != "not_checked";
    if (open) ++findings;
    json body = {{"rule", rule},
                 {"outcome", record.outcome},
                 {"reason", record.reason},
                 {"attempts", record.attempts},
                 {"model_attempts", record.model_attempts},
                 {"seconds", record.seconds}};
    if (record.fixed_by) body["fixed_by"] = origin_name(*record.fixed_by);
    journal.append("rule_outcome", std::move(body));
  }
  return findings;
}

struct Ending {
  std::string status = "complete";
  std::string reason;
  int exit_code = 0;
};

// A run that cannot go on still ends with a report of what it did.
std::optional<Error> remediate(Remediation& remediation, Journal& journal) {
  try {
    remediation.run();
    return std::nullopt;
  } catch (const Error& error) {
    spdlog::error("{}", printable(error.what(), Lines::keep));
    journal.append("note", {{"text", std::string("the run ended early: ") + error.what()}});
    remediation.decide_the_rest(error.message());
    return error;
  }
}

Ending ending_of(const std::optional<Error>& trouble, const Stop& stop, const Remediation& remediation, size_t findings,
                 AfterFindings after_findings) {
  if (trouble) return {"partial", trouble->message(), static_cast<int>(trouble->code())};
  if (stop.requested()) return {"partial", stop.reason(), static_cast<int>(Code::partial)};
  if (remediation.rolled_back() > 0)
    return {"partial", std::to_string(remediation.rolled_back()) + " commits were rolled back",
            static_cast<int>(Code::partial)};
  if (findings > 0 && after_findings == AfterFindings::fail)
    return {"complete", std::to_string(findings) + " findings are open", static_cast<int>(Code::findings)};
  return {"complete", "all that was asked was done", 0};
}

}  // namespace

int run_job(const std::filesystem::path& job_toml, const RunOptions& options, Launcher& launcher) {
  Stop::catch_signals();
  Setup setup = Setup::prepare(job_toml, options.mode);
  const Job& job = setup.job;
  // A run that could not sign its report at the end must not begin. The key itself is left to the signer.
  for (const std::filesystem::path& file : {job.report_key, job.report_certificate})
    if (::access(file.c_str(), R_OK) != 0)
      throw system_error(errno, "the report could not be signed: cannot read " + file.native());
  const Stop stop(Clock::now() + std::chrono::minutes(job.time_limit_minutes));

  // From here on this run holds the state folder and the target; a second one ends at once.
  const std::unique_ptr<Target> target = Target::open(target_config(job), launcher);
  const Recovery recovery = target->recover();
  setup.bundles.accept_all(setup.trust, system_time());

  RunStart start;
  start.run_id = new_run_id();
  start.mode = mode_name(job.mode);
  start.job = &job;
  start.bundles = &setup.bundles;
  const BundleSet::Found content = setup.bundles.find(Kind::scap, setup.manifest.content);
  start.content_name = content.file->name;
  start.content_digest = content.file->identity;
  start.policy_digest = setup.host_policy.digest;
  start.trust_digest = setup.trust_digest;
  start.previous_run = head_of_latest_run(job.state).value_or(Digest{});
  Journal journal = Journal::create(job.state, start.run_id, start.previous_run);
  journal.append("run_started", run_started_body(start));
  spdlog::info("run {} ({}) on {}", start.run_id, start.mode, printable(job.target.native()));
  journal_recovery(journal, recovery);

  const Fd content_memory = BundleSet::memory(content);
  const std::unique_ptr<Evaluator> evaluator =
      Evaluator::start(launcher, content_memory.get(), content.file->name, setup.manifest.profile);
  journal.append("benchmark", benchmark_body(evaluator->benchmark()));
  std::unique_ptr<Models> models;
  if (!setup.manifest.roles.empty() && job.mode != Mode::scan)
    models = Models::load(setup.bundles, setup.manifest, job);
  journal.append("models", models_body(models.get()));
  journal.append("waivers", waivers_body(setup.manifest));

  RuleTable table(evaluator->benchmark(), scan_target(*target, *evaluator, journal, "before", job.parallel_trials));
  const RunContext run{job,     setup.manifest, *setup.gate,  setup.limits, *target,     *evaluator,
                       journal, table,          models.get(), stop,         start.run_id};
  Remediation remediation(run);
  const std::optional<Error> trouble = remediate(remediation, journal);

  std::vector<std::byte> xccdf;
  table.replace(scan_target(*target, *evaluator, journal, "after", 1, &xccdf));
  const size_t findings = journal_outcomes(journal, table);
  const Ending ending = ending_of(trouble, stop, remediation, findings, options.findings);
  journal.append("run_finished", {{"status", ending.status},
                                  {"reason", ending.reason},
                                  {"finished", format_time(system_time())},
                                  {"exit_code", ending.exit_code}});

  const ReportKey key{job.report_key, job.report_certificate, job.report_chain};
  const std::filesystem::path report =
      write_report({job.output, journal.file(), xccdf},
                   [&](std::string_view manifest) { return sign_in_child(launcher, key, manifest); });
  spdlog::info("{}: {}; report: {}", ending.status, ending.reason, printable(report.native()));
  return ending.exit_code;
}

int recover(const std::filesystem::path& job_toml, Launcher& launcher) {
  const Job job = Job::read(job_toml);
  const std::unique_ptr<Target> target = Target::open(target_config(job), launcher);
  const Recovery recovery = target->recover();
  if (recovery.kind == Recovery::Kind::nothing_open) {
    std::puts("nothing to recover: no commit was interrupted");
    return 0;
  }
  Journal journal = start_short_journal(job, "recover", recovery);
  journal.append(
      "run_finished",
      {{"status", "complete"}, {"reason", "recovered"}, {"finished", format_time(system_time())}, {"exit_code", 0}});
  const bool before = recovery.kind == Recovery::Kind::rolled_back;
  std::printf("recovered: the target is as %s the commit %s of %s\n", before ? "before" : "after",
              printable(recovery.commit_id).c_str(), printable(recovery.rule_id).c_str());
  return 0;
}

int roll_back_run(const std::filesystem::path& job_toml, const std::string& run_id, Launcher& launcher) {
  const Job job = Job::read(job_toml);
  check_run_id(run_id);
  const std::unique_ptr<Target> target = Target::open(target_config(job), launcher);
  const Recovery recovery = target->recover();
  const std::vector<Receipt> receipts = target->commits_of(run_id);
  if (receipts.empty() && !std::filesystem::exists(journal_path(job.state, run_id)))
    throw Error(Code::input, "no run ", run_id, " is known in ", job.state.native(),
                "; gf-report show lists a report's run id");
  Journal journal = start_short_journal(job, "roll_back", recovery);
  for (const Receipt& receipt : receipts) {
    journal.append("roll_back", {{"commit_id", receipt.commit_id},
                                 {"rule", receipt.rule_id},
                                 {"reason", "asked for by the administrator, run " + run_id}});
    target->roll_back(receipt);
  }
  journal.append("run_finished", {{"status", "complete"},
                                  {"reason", "rolled back run " + run_id},
                                  {"finished", format_time(system_time())},
                                  {"exit_code", 0}});
  std::printf("rolled back %zu commits of run %s\n", receipts.size(), run_id.c_str());
  return 0;
}

}  // namespace gf
