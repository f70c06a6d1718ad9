// policy.toml: what may be tried and what may be committed. POLICY.md documents every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/digest.h"
#include "policy/access_check.h"
#include "policy/origin.h"
#include "policy/pattern.h"
#include "policy/script_limits.h"

namespace gf {

// A text that scripts must not contain.
struct DenyPattern {
  enum class Applies { model, all };
  std::string name;  // shown in refusals: "deny-pattern:NAME"
  Pattern pattern;
  Applies applies = Applies::model;
};

// A class of changes that have locked people out of machines.
struct Guard {
  std::string name;                     // "sshd"; refusals say "guard:sshd"
  std::vector<std::string> rule_words;  // words of a rule id: "sshd", "crypto_policy"
  std::vector<Pattern> scripts;         // script content
  std::vector<std::string> paths;       // changed files, as globs
  std::vector<AccessCheck> checks;
};

// The policy's word for a class of changes. The class is a guard's name or an effect's
// (policy/effects.h).
struct Grant {
  std::string of_class;
  std::vector<std::string> rules;  // exact rule ids, or "*"
  std::vector<Origin> origins;     // whose scripts; vetted alone unless the file says more
  std::vector<std::string> paths;  // globs; empty: any path (never empty for unnamed_path)
  [[nodiscard]] bool covers(std::string_view wanted_class, std::string_view rule_id, Origin origin) const;
  [[nodiscard]] bool covers_path(std::string_view path) const;
};

struct Policy {
  std::vector<Mode> modes;
  std::vector<Origin> origins;
  std::vector<std::string> interpreters;  // absolute paths
  uint64_t script_bytes = 0;              // largest script
  uint64_t changed_files = 0;             // most files that one script may change
  std::vector<DenyPattern> deny;          // built-in ones included
  std::vector<Guard> guards;              // built-in ones included
  std::vector<Grant> grants;
  std::vector<std::string> protected_paths;  // globs, besides those of gf-run itself
  ScriptLimits limits;
  Digest digest;        // of the file's bytes
  bool absent = false;  // Policy::none()

  // Both throw Code::input with file, line and column.
  static Policy read(const std::filesystem::path& policy_toml);
  static Policy parse(std::string_view text, std::string_view name, const std::filesystem::path& folder);
  // No policy at all, for a job whose bundle carries none: it narrows nothing.
  static Policy none();

  [[nodiscard]] bool grants_class(std::string_view wanted_class, std::string_view rule_id, Origin origin) const;
  [[nodiscard]] bool grants_path(std::string_view wanted_class, std::string_view rule_id, Origin origin,
                                 std::string_view path) const;
};

}  // namespace gf
