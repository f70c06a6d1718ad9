// Prompt assembly: priorities and a token budget.
#include "runner/prompt.h"

#include <algorithm>

#include "kernels/base/text.h"

namespace gf {
namespace {

constexpr size_t kShownAttempts = 5;
constexpr size_t kLeastLines = 3;

int64_t token_count(const Tokenizer& tokenizer, std::string_view text) {
  return static_cast<int64_t>(tokenizer.encode(text, Special::plain).size());
}

std::string rendered(const PromptPart& part) { return "## " + part.heading + "\n" + part.text + "\n\n"; }

// The longest run of whole lines that fits, found by halving; empty if it is hardly anything.
std::string cut_to(const PromptPart& part, const Tokenizer& tokenizer, int64_t budget) {
  std::vector<size_t> ends;
  for (size_t at = part.text.find('\n'); at != std::string::npos; at = part.text.find('\n', at + 1)) ends.push_back(at);
  size_t low = 0;
  size_t high = ends.size();
  const auto shortened_part = [&](size_t lines) {
    PromptPart copy = part;
    copy.text = part.text.substr(0, ends[lines - 1]) + "\n[shortened]";
    return rendered(copy);
  };
  while (low < high) {
    const size_t middle = (low + high + 1) / 2;
    if (token_count(tokenizer, shortened_part(middle)) <= budget) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low < kLeastLines ? std::string() : shortened_part(low);
}

std::string joined_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace

Assembled assemble(const std::vector<PromptPart>& parts, const Tokenizer& tokenizer, int64_t budget_tokens) {
  std::vector<size_t> order(parts.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return parts[a].priority < parts[b].priority; });
  std::vector<std::string> kept(parts.size());
  Assembled assembled;
  int64_t left = budget_tokens;
  for (const size_t i : order) {
    kept[i] = rendered(parts[i]);
    int64_t tokens = token_count(tokenizer, kept[i]);
    if (tokens > left) {
      kept[i] = cut_to(parts[i], tokenizer, left);
      tokens = token_count(tokenizer, kept[i]);
      assembled.cut.push_back(parts[i].heading);
    }
    left -= tokens;
  }
  for (const std::string& text : kept) assembled.text += text;
  return assembled;
}

std::vector<PromptPart> rule_parts(const RuleInfo& rule, const std::string& evidence_before,
                                   const std::vector<AttemptSummary>& attempts) {
  std::vector<PromptPart> parts;
  parts.push_back({"Rule", rule.id + "\nTitle: " + rule.title + "\nSeverity: " + rule.severity, 0});
  if (!evidence_before.empty()) parts.push_back({"What the check found", evidence_before, 1});
  if (!rule.read_paths.empty()) parts.push_back({"Files the check reads", joined_lines(rule.read_paths), 2});
  if (!rule.description.empty()) parts.push_back({"Description", rule.description, 2});
  if (!rule.fix_text.empty()) parts.push_back({"Fix text", rule.fix_text, 3});
  if (rule.bash_fix) parts.push_back({"The vendor's fix, which is tried before yours", rule.bash_fix->script, 4});
  if (!rule.rationale.empty()) parts.push_back({"Rationale", rule.rationale, 6});
  const size_t first = attempts.size() > kShownAttempts ? attempts.size() - kShownAttempts : 0;
  for (size_t i = first; i < attempts.size(); ++i) {
    const AttemptSummary& attempt = attempts[i];
    const bool newest = i + 1 == attempts.size();
    std::string text = "By: " + attempt.origin + "\nOutcome: " + attempt.outcome + "\n" + attempt.reason + "\n";
    if (!attempt.lesson.empty()) text += "Lesson: " + attempt.lesson + "\n";
    if (newest) {
      text += "Script:\n" + shortened(attempt.script, 4096) + "\nIts output:\n" + shortened(attempt.output, 2048) +
              "\nThe check after it:\n" + shortened(attempt.evidence, 2048) + "\nFiles it changed:\n" +
              joined_lines(attempt.changed_files);
    }
    parts.push_back({"Attempt " + std::to_string(i + 1), text, newest ? 1 : 5});
  }
  return parts;
}

}  // namespace gf
