// Why a rule did not pass: what its failing tests expected and what was found, as plain text for
// people and for prompts.
#pragma once

#include <map>
#include <string>

#include "runner/oscap.h"

namespace gf {

inline constexpr size_t kMaxEvidenceBytes = 4096;

// `agents` by the href of their OVAL file. At most kMaxEvidenceBytes of valid UTF-8; values of foreign
// files are in it, so it is to be escaped like any foreign text.
std::string evidence_of(xccdf_rule_result* rule, const std::map<std::string, oval_agent_session*>& agents);

}  // namespace gf
