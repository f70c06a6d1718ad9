// Journal bodies.
#include "runner/journal_bodies.h"

#include <sys/timex.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

namespace gf {
namespace {

using nlohmann::json;

std::string_view kind_of(const Change& change) {
  if (change.before.type == FileType::absent) return "created";
  if (change.after.type == FileType::absent) return "deleted";
  return change.content_changed ? "modified" : "metadata";
}

std::string octal(uint32_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode);
  return text.data();
}

bool has_content(const FileState& state) { return state.type == FileType::regular || state.type == FileType::symlink; }

void add_state(json& body, const std::string& prefix, const FileState& state) {
  if (state.type == FileType::absent) return;
  body[prefix + "_mode"] = octal(state.mode);
  body[prefix + "_owner"] = std::to_string(state.uid) + ":" + std::to_string(state.gid);
  if (has_content(state)) body[prefix + "_digest"] = state.content.hex();
}

// What the kernel says of its clock; nothing is asked over a network.
json clock_body() {
  struct timex clock {};
  const bool synchronized = ::adjtimex(&clock) != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
  return {{"synchronized", synchronized}, {"source", "kernel"}};
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

json changes_body(const std::vector<Change>& changes) {
  json list = json::array();
  for (const Change& change : changes) {
    json body = {{"path", change.path}, {"kind", kind_of(change)}};
    add_state(body, "before", change.before);
    add_state(body, "after", change.after);
    list.push_back(std::move(body));
  }
  return list;
}

json states_body(const std::vector<RuleState>& states) {
  json list = json::array();
  for (const RuleState& state : states)
    list.push_back({{"rule", state.rule_id}, {"result", to_text(state.result)}, {"evidence", state.evidence}});
  return list;
}

json benchmark_body(const BenchmarkInfo& benchmark) {
  json rules = json::array();
  for (const RuleInfo& rule : benchmark.rules)
    rules.push_back({{"id", rule.id},
                     {"title", rule.title},
                     {"severity", rule.severity},
                     {"description", rule.description},
                     {"references", rule.references},
                     {"stig_id", rule.stig_id},
                     {"sv_id", rule.sv_id},
                     {"has_fix", rule.bash_fix.has_value()}});
  return {{"benchmark_id", benchmark.benchmark_id},
          {"profile_id", benchmark.profile_id},
          {"profile_title", benchmark.profile_title},
          {"content_title", benchmark.content_title},
          {"version", benchmark.version},
          {"rules", std::move(rules)}};
}

json run_started_body(const RunStart& start) {
  json body = {{"run_id", start.run_id},
               {"version", GF_VERSION},
               {"mode", start.mode},
               {"started", format_time(system_time())},
               {"host", host_name()},
               {"target", {{"kind", to_text(start.job->target_kind)}, {"path", start.job->target.native()}}},
               {"job_digest", start.job->digest.hex()},
               {"previous_run", start.previous_run.hex()},
               {"bundles", json::array()},
               {"policy_digest", start.policy_digest.hex()},
               {"trust_digest", start.trust_digest.hex()},
               {"clock", clock_body()}};
  if (!start.content_name.empty())
    body["content"] = {{"name", start.content_name}, {"digest", start.content_digest.hex()}};
  if (start.bundles == nullptr) return body;
  for (const Bundle& bundle : start.bundles->bundles()) {
    json signers = json::array();
    for (const SignerIdentity& signer : bundle.signers())
      signers.push_back({{"subject", signer.subject}, {"key", signer.key.hex()}});
    body["bundles"].push_back({{"path", bundle.path().native()},
                               {"stream", bundle.manifest().stream},
                               {"version", bundle.manifest().version},
                               {"digest", bundle.digest().hex()},
                               {"signers", std::move(signers)}});
  }
  return body;
}

}  // namespace gf
