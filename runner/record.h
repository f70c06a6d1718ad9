// The words of the journal: which types of entry there are, what the body of each holds, and the
// check that both the writer and the readers of a journal apply. runner/report.schema.json
// describes what becomes of them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/digest.h"
#include "kernels/base/text.h"

namespace gf {

// One line of a journal, already checked: its digest, its place in the chain, and its body.
struct JournalEntry {
  uint64_t seq = 0;  // 0 for the first line
  Time time;
  std::string type;
  nlohmann::json body;
  Digest previous;
  Digest digest;  // SHA-384 of the canonical JSON of the line without its "digest"
};

// Bodies by type. A question mark: the key may be missing, or its value null.
//
//   run_started     run_id, version, mode (scan, trial, apply, recover, roll_back), started, host,
//                   target {kind, path}, job_digest, previous_run?, bundles [{path, stream, version,
//                   digest, signers [{subject, key}]}], content {name, digest}?, policy_digest?,
//                   trust_digest?, clock {synchronized, source}
//   benchmark       benchmark_id, profile_id, profile_title, content_title, version, rules [{id, title,
//                   severity, description, references [text], stig_id, sv_id, has_fix}]
//   models          models [{name, roles [text], digest, format, bytes, demo, note?}], prompts [{name, digest}]
//   waivers         waivers [{rule, approver, author, reason, expires, active}]
//   scan            phase (before, batch, after), seconds, states [{rule, result, evidence}], xccdf_digest?
//   attempt_intent  rule, attempt (from 1), origin (vetted, model), script_digest, script
//   attempt         rule, attempt, origin, outcome, reason, refused_by?, exit_code?, output, result?,
//                   evidence, changes [{path, kind, ...}], seconds, plan?, lesson?
//   commit_intent   rule, commit_id, attempt, origin, changes [{path, kind, before_digest?,
//                   after_digest?, before_mode?, after_mode?, ...}]
//   commit          rule, commit_id, outcome (committed, conflict, rolled_back), result?, reason
//   roll_back       commit_id, rule?, reason
//   rule_outcome    rule, outcome, reason, fixed_by?, attempts, model_attempts, seconds
//   recovered       what, commit_id?, rule?
//   note            text
//   run_finished    status (complete, partial), reason, finished, exit_code
//
// Digests are 96 lower-case hexadecimal digits, times RFC 3339 in UTC, seconds numbers >= 0.
// Further keys are allowed; they stay in the journal and are not reported.
//
// Throws Code::corrupt naming the type and the key.
void check_body(std::string_view type, const nlohmann::json& body);

// Run ids name files: 1 to 64 of [A-Za-z0-9._-], the first a letter or a digit. Throws Code::input.
void check_run_id(std::string_view run_id);

// Every string (keys included) made valid UTF-8: scripts and scanners print what they like.
nlohmann::json with_valid_text(nlohmann::json value);

}  // namespace gf
