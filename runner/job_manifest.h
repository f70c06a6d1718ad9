// The signed job manifest: what is to be done. It is a TOML file of kind "job" in a bundle and is read
// from the verified bytes. runner/JOB.md documents every key.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/text.h"
#include "runner/job.h"

namespace gf {

struct Waiver {
  std::string rule, author, approver, reason;
  std::string expires;  // a date or a full time: the first second at which it no longer counts
};
// Why it does not count at that time, or "" if it does (runner/report.h has the rule).
std::string why_waiver_does_not_count(const Waiver& waiver, Time now);

struct OrderConstraint {
  std::string rule;
  std::vector<std::string> after;
  bool last = false;
};

struct HealthCheck {
  std::string name;
  std::vector<std::string> command;  // exit status 0: healthy
};

struct ModelChoice {
  std::string name;
  std::string folder;  // prefix of the file names in the bundle, with its '/'
  bool demo = false;   // seeded weights: the report says so
  std::string note;
};

// architect: plans; worker: writes a fix; reflector: one lesson from a failure.
enum class RoleKind { architect, worker, reflector };
std::string_view to_text(RoleKind kind);

struct Role {
  std::string model;
  std::string prompt;  // file name in the bundle
  bool thinking = false;
  int64_t max_new_tokens = 0;
  int64_t context_tokens = 0;  // prompt and answer together
  double temperature = 1.0;
  double top_p = 0.95;
  int64_t top_k = 64;
};

struct JobManifest {
  std::string content;  // file name, kind scap
  std::string profile;
  std::optional<std::string> policy;  // file name, kind policy
  std::vector<Mode> modes;
  std::vector<std::string> rules;  // full ids, or the single word "*"
  std::vector<std::string> exclude;
  int64_t model_attempts = 0;     // in the whole run
  int64_t attempts_per_rule = 0;  // of the model
  int64_t seconds_per_rule = 0;
  int64_t script_seconds = 0;
  uint64_t seed = 0;
  std::vector<ModelChoice> models;
  std::map<RoleKind, Role> roles;
  std::vector<OrderConstraint> order;
  std::vector<Waiver> waivers;
  std::vector<HealthCheck> health;

  // Throws Code::input with `name`, line and column.
  static JobManifest parse(std::string_view text, std::string_view name);
};

}  // namespace gf
