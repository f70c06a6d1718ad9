// Whether a lock-out guard concerns a rule, a script or a file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace gf {

// By words of the rule's id, whole ones: "sshd" is in "sshd_disable_root_login", and "pass" is not
// in "passwd". Several words must follow each other; "^sudo" must come first. What stands before
// the last "content_rule_" is not looked at.
bool guards_rule(const Guard& guard, std::string_view rule_id);
// By the file's path.
bool guards_path(const Guard& guard, std::string_view path);
// By the rule's id or any view of the script: the reason for a refusal, or nothing.
std::optional<std::string> guarded_because(const Guard& guard, std::string_view rule_id,
                                           const std::vector<std::string>& script_views);

}  // namespace gf
