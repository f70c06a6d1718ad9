// The gate judges twice: what is asked, before a trial; and what was really changed, after it.
// Obfuscated scripts pass any pattern; their effects do not. Only the gate makes an ApprovedScript
// (a trial runs nothing else) and ApprovedChanges (a commit takes nothing else).
//
// Two policies are asked, the host's and the signed one of the bundle: what either refuses is
// refused, so the host can only narrow what a signed job asks for.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "policy/change_set.h"
#include "policy/policy.h"

namespace gf {

struct Proposal {
  std::string rule_id;
  Origin origin = Origin::model;
  std::string interpreter;  // "bash" or "/bin/bash"
  std::string script;
  std::vector<std::string> named_paths;
};

class ApprovedScript {
 public:
  [[nodiscard]] const std::string& rule_id() const { return rule_id_; }
  [[nodiscard]] Origin origin() const { return origin_; }
  [[nodiscard]] const std::string& interpreter() const { return interpreter_; }  // absolute path
  [[nodiscard]] const std::string& script() const { return script_; }

 private:
  friend class Gate;
  ApprovedScript() = default;
  std::string rule_id_;
  Origin origin_ = Origin::model;
  std::string interpreter_;
  std::string script_;
};

// A copy of the change set that was judged.
class ApprovedChanges {
 public:
  [[nodiscard]] const std::string& rule_id() const { return changes_.rule_id; }
  [[nodiscard]] const ChangeSet& changes() const { return changes_; }

 private:
  friend class Gate;
  explicit ApprovedChanges(ChangeSet changes) : changes_(std::move(changes)) {}
  ChangeSet changes_;
};

struct Refusal {
  std::string rule;    // which rule of the policy: "deny-pattern:pipe-to-shell", "guard:sshd", "effect:setuid"
  std::string reason;  // what was found, where, and what to do about it
};

class Gate {
 public:
  // protected_paths: gf-run's own programs, configuration, state, units and keys, absolute in the
  // target; a folder protects all below it. No grant reaches them.
  Gate(Policy host_policy, Policy signed_policy, std::vector<std::string> protected_paths, Mode mode = Mode::apply);

  // Whether both policies allow the job's mode at all.
  [[nodiscard]] std::optional<Refusal> refusal_of_mode() const;
  [[nodiscard]] std::variant<ApprovedScript, Refusal> approve(const Proposal& proposal) const;
  [[nodiscard]] std::variant<ApprovedChanges, Refusal> approve(const ChangeSet& change_set) const;
  // The checks of every guarded class that the rule or one of the changes belongs to: they must hold
  // before and after the commit (policy/access_check.h).
  [[nodiscard]] std::vector<AccessCheck> access_checks(const ChangeSet& change_set) const;
  // The smaller of each limit of both policies.
  [[nodiscard]] ScriptLimits script_limits() const;

 private:
  [[nodiscard]] std::vector<const Policy*> policies() const;
  Policy host_;
  Policy signed_;
  std::vector<std::string> protected_;
  Mode mode_;
};

}  // namespace gf
