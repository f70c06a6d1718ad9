// What a role reads: parts in order of priority, counted by the model's own tokenizer, cut to a budget.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer.h"
#include "runner/content.h"

namespace gf {

struct PromptPart {
  std::string heading;
  std::string text;
  int priority = 0;  // 0 is never left out; higher numbers go first
};

struct Assembled {
  std::string text;              // "## heading\ntext\n" for each part kept, in the order given
  std::vector<std::string> cut;  // headings of parts that were shortened or left out
};

// At most `budget_tokens` tokens, counted with special tokens off. A part that does not fit is cut at a
// line end, from the least important on; one that keeps fewer than 3 lines is left out.
Assembled assemble(const std::vector<PromptPart>& parts, const Tokenizer& tokenizer, int64_t budget_tokens);

// What happened to one attempt, as later attempts are told it.
struct AttemptSummary {
  std::string origin;  // "vendor fix", "model"
  std::string outcome;
  std::string reason;
  std::string script;
  std::string output;
  std::string evidence;
  std::vector<std::string> changed_files;
  std::string lesson;            // at most 200 characters
  bool worth_repeating = false;  // it failed in a way that other rules' changes may mend
};

// The parts that describe a rule and its history: all roles see the same facts.
std::vector<PromptPart> rule_parts(const RuleInfo& rule, const std::string& evidence_before,
                                   const std::vector<AttemptSummary>& attempts);

}  // namespace gf
