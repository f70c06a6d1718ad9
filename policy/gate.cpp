// The two judgements. Everything that refuses is asked of the host's policy and of the signed one.
#include "policy/gate.h"

#include <algorithm>
#include <cctype>

#include "kernels/base/text.h"
#include "policy/effects.h"
#include "policy/guard_match.h"
#include "policy/named_paths.h"
#include "policy/protected_paths.h"
#include "policy/script_text.h"

namespace gf {

namespace {

std::string in_quotes(std::string_view text) { return "\"" + printable(shortened(text, 200)) + "\""; }

std::string whose(const Policy& policy, const Policy& host) {
  return &policy == &host ? "the host's policy" : "the signed policy";
}

// The absolute path of a word such as "bash" or "/bin/bash", or nothing if it is not allowed.
std::optional<std::string> allowed_interpreter(const Policy& policy, std::string_view wanted) {
  for (const std::string& path : policy.interpreters) {
    if (path == wanted || std::string_view(path).substr(path.rfind('/') + 1) == wanted) return path;
  }
  return std::nullopt;
}

bool has_control_characters(std::string_view script) {
  return std::any_of(script.begin(), script.end(),
                     [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; });
}

// Log-in banners are the longest that fixes need; patterns look at long lines piecewise.
constexpr size_t kMaxModelLineBytes = 4096;

bool has_long_line(std::string_view script) {
  while (!script.empty()) {
    const size_t end = std::min(script.find('\n'), script.size());
    if (end > kMaxModelLineBytes) return true;
    script.remove_prefix(std::min(end + 1, script.size()));
  }
  return false;
}

std::optional<Refusal> refusal_of_text(const Proposal& proposal) {
  if (proposal.rule_id.empty()) return Refusal{"rule-id", "the proposal names no rule"};
  if (trimmed(proposal.script).empty()) return Refusal{"empty-script", "the script is empty"};
  // A NUL would hide what follows it from the patterns and not from every interpreter.
  if (proposal.script.find('\0') != std::string::npos) return Refusal{"encoding", "the script holds a NUL byte"};
  if (proposal.origin == Origin::vetted) return std::nullopt;
  if (!is_valid_utf8(proposal.script)) return Refusal{"encoding", "the script is not UTF-8"};
  if (has_control_characters(proposal.script)) return Refusal{"encoding", "the script holds control characters"};
  if (has_long_line(proposal.script)) {
    return Refusal{"line-length",
                   "a line of the script is longer than " + std::to_string(kMaxModelLineBytes) + " bytes"};
  }
  return std::nullopt;
}

std::optional<Refusal> refusal_by_patterns(const Policy& policy, const Proposal& proposal,
                                           const std::vector<std::string>& views) {
  for (const DenyPattern& deny : policy.deny) {
    if (deny.applies == DenyPattern::Applies::model && proposal.origin != Origin::model) continue;
    for (const std::string& view : views) {
      if (!deny.pattern.found_in(view)) continue;
      return Refusal{"deny-pattern:" + deny.name,
                     "the script contains what the deny pattern " + deny.name + " forbids; write the fix without it"};
    }
  }
  return std::nullopt;
}

std::string needs_grant(std::string_view of_class, std::string_view rule_id, Origin origin) {
  return "; it needs a [[grant]] of class \"" + std::string(of_class) + "\" for rule " + printable(rule_id) +
         " and origin " + std::string(origin_name(origin));
}

std::optional<Refusal> refusal_of_change(const Policy& policy, const Change& change, const ChangeSet& set,
                                         const std::vector<Effect>& effects) {
  for (const Effect& effect : effects) {
    if (policy.grants_path(effect.of_class, set.rule_id, set.origin, change.path)) continue;
    return Refusal{"effect:" + effect.of_class, in_quotes(change.path) + " " + effect.detail +
                                                    needs_grant(effect.of_class, set.rule_id, set.origin)};
  }
  if (only_narrows(change)) return std::nullopt;
  for (const Guard& guard : policy.guards) {
    if (!guards_path(guard, change.path)) continue;
    if (policy.grants_path(guard.name, set.rule_id, set.origin, change.path)) continue;
    return Refusal{"guard:" + guard.name, in_quotes(change.path) +
                                              " is guarded, since changes to it have locked people out" +
                                              needs_grant(guard.name, set.rule_id, set.origin)};
  }
  return std::nullopt;
}

// New folders on the way to a named path are part of naming it, unless they are open to everybody.
bool is_needed_folder(const Change& change, const ChangeSet& set) {
  return change.before.type == FileType::absent && change.after.type == FileType::directory &&
         (change.after.mode & 022u) == 0 && change.after.uid == 0 && is_parent_of_named(change.path, set.named_paths);
}

std::optional<std::string> malformed(const Change& change) {
  const std::string& path = change.path;
  if (!path.starts_with('/') || path == "/" || path.ends_with('/') || path.find('\0') != std::string::npos)
    return "not an absolute path";
  if (path.find("//") != std::string::npos || (path + "/").find("/../") != std::string::npos ||
      (path + "/").find("/./") != std::string::npos) {
    return "a path with empty, . or .. components";
  }
  return std::nullopt;
}

}  // namespace

Gate::Gate(Policy host_policy, Policy signed_policy, std::vector<std::string> protected_paths, Mode mode)
    : host_(std::move(host_policy)),
      signed_(std::move(signed_policy)),
      protected_(std::move(protected_paths)),
      mode_(mode) {
  for (const Policy* policy : policies()) {
    protected_.insert(protected_.end(), policy->protected_paths.begin(), policy->protected_paths.end());
  }
}

std::vector<const Policy*> Gate::policies() const {
  std::vector<const Policy*> present;
  if (!host_.absent) present.push_back(&host_);
  if (!signed_.absent) present.push_back(&signed_);
  return present;
}

std::optional<Refusal> Gate::refusal_of_mode() const {
  // Two absent policies would allow everything: somebody must have said yes.
  if (policies().empty()) return Refusal{"mode", "there is no policy; name one in job.toml or in the signed bundle"};
  for (const Policy* policy : policies()) {
    if (std::find(policy->modes.begin(), policy->modes.end(), mode_) != policy->modes.end()) continue;
    return Refusal{"mode", whose(*policy, host_) + " does not allow the mode " + std::string(mode_name(mode_))};
  }
  return std::nullopt;
}

std::variant<ApprovedScript, Refusal> Gate::approve(const Proposal& proposal) const {
  if (auto refusal = refusal_of_mode()) return *refusal;
  if (mode_ == Mode::scan) return Refusal{"mode", "a scan runs no script"};
  if (auto refusal = refusal_of_text(proposal)) return *refusal;
  const std::vector<std::string> views = pattern_views_of(proposal.script);
  std::optional<std::string> interpreter;
  for (const Policy* policy : policies()) {
    const std::string who = whose(*policy, host_);
    if (std::find(policy->origins.begin(), policy->origins.end(), proposal.origin) == policy->origins.end()) {
      return Refusal{"origin", who + " allows no script of origin " + std::string(origin_name(proposal.origin))};
    }
    if (proposal.script.size() > policy->script_bytes) {
      return Refusal{"script-size", "the script has " + std::to_string(proposal.script.size()) + " bytes, and " + who +
                                        " allows " + std::to_string(policy->script_bytes)};
    }
    const auto allowed = allowed_interpreter(*policy, interpreter.value_or(proposal.interpreter));
    if (!allowed)
      return Refusal{"interpreter", who + " does not allow the interpreter " + in_quotes(proposal.interpreter)};
    interpreter = allowed;
    if (auto refusal = refusal_by_patterns(*policy, proposal, views)) return *refusal;
    for (const Guard& guard : policy->guards) {
      const auto reason = guarded_because(guard, proposal.rule_id, views);
      if (!reason || policy->grants_class(guard.name, proposal.rule_id, proposal.origin)) continue;
      return Refusal{"guard:" + guard.name, *reason + needs_grant(guard.name, proposal.rule_id, proposal.origin)};
    }
  }
  ApprovedScript approved;
  approved.rule_id_ = proposal.rule_id;
  approved.origin_ = proposal.origin;
  approved.interpreter_ = *interpreter;
  approved.script_ = proposal.script;
  return approved;
}

std::variant<ApprovedChanges, Refusal> Gate::approve(const ChangeSet& change_set) const {
  if (auto refusal = refusal_of_mode()) return *refusal;
  if (mode_ == Mode::scan) return Refusal{"mode", "a scan changes nothing"};
  if (change_set.rule_id.empty()) return Refusal{"rule-id", "the change set names no rule"};
  for (const Policy* policy : policies()) {
    if (std::find(policy->origins.begin(), policy->origins.end(), change_set.origin) == policy->origins.end()) {
      return Refusal{"origin", whose(*policy, host_) + " allows no change of origin " +
                                   std::string(origin_name(change_set.origin))};
    }
    if (change_set.changes.size() <= policy->changed_files) continue;
    return Refusal{"changed-files", "the script changed " + std::to_string(change_set.changes.size()) + " files, and " +
                                        whose(*policy, host_) + " allows " + std::to_string(policy->changed_files)};
  }
  for (const Change& change : change_set.changes) {
    if (auto problem = malformed(change)) return Refusal{"path", in_quotes(change.path) + " is " + *problem};
    if (auto reason = why_protected(change, protected_))
      return Refusal{"protected-path", in_quotes(change.path) + " " + *reason};
    std::vector<Effect> effects = effects_of(change, change_set);
    if (!is_named(change.path, change_set.named_paths) && !is_needed_folder(change, change_set)) {
      effects.push_back({only_narrows(change) ? "unnamed_tightening" : "unnamed_path",
                         "is named neither by the rule nor by its vetted fix"});
    }
    for (const Policy* policy : policies()) {
      if (auto refusal = refusal_of_change(*policy, change, change_set, effects)) return *refusal;
    }
  }
  return ApprovedChanges(change_set);
}

std::vector<AccessCheck> Gate::access_checks(const ChangeSet& change_set) const {
  std::vector<AccessCheck> checks;
  for (const Policy* policy : policies()) {
    for (const Guard& guard : policy->guards) {
      const bool concerned = guards_rule(guard, change_set.rule_id) ||
                             std::any_of(change_set.changes.begin(), change_set.changes.end(),
                                         [&](const Change& change) { return guards_path(guard, change.path); });
      if (!concerned) continue;
      for (const AccessCheck& check : guard.checks) {
        // sshd -t serves several classes; one run is enough.
        const bool listed = std::any_of(checks.begin(), checks.end(), [&](const AccessCheck& other) {
          return other.argv == check.argv && other.needs == check.needs;
        });
        if (!listed) checks.push_back(check);
      }
    }
  }
  return checks;
}

ScriptLimits Gate::script_limits() const {
  const std::vector<const Policy*> present = policies();
  if (present.empty()) return {};
  ScriptLimits limits = present.front()->limits;
  for (const Policy* policy : present) limits = narrowest(limits, policy->limits);
  return limits;
}

}  // namespace gf
