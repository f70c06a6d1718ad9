// Words for people.
#include "runner/report_words.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace gf {
namespace {

using nlohmann::json;

int64_t number(const json& counts, const char* key) { return counts.at(key).get<int64_t>(); }

std::string changes_sentence(const json& report) {
  const json& counts = report.at("counts");
  const std::string mode = report.at("mode").get<std::string>();
  if (mode == "scan") return "This run only looked; nothing was changed.";
  if (mode == "trial")
    return "Nothing was changed on the target. In isolated copies, " +
           count_words(number(counts, "trial_passed_by_vetted"), "rule", "rules") + " passed with vetted fixes and " +
           std::to_string(number(counts, "trial_passed_by_model")) + " with fixes written by the model.";
  std::string text = count_words(number(counts, "fixed"), "rule was fixed: ", "rules were fixed: ") +
                     std::to_string(number(counts, "fixed_by_vetted")) + " by vetted fixes, " +
                     std::to_string(number(counts, "fixed_by_model")) + " by fixes written by the model";
  if (number(counts, "fixed_as_side_effect") > 0)
    text += ", " + std::to_string(number(counts, "fixed_as_side_effect")) + " along with fixes of other rules";
  return text + ".";
}

}  // namespace

std::string result_words(const json& result) {
  if (result.is_null()) return "not scanned";
  const std::string word = result.get<std::string>();
  if (word == "notapplicable") return "not applicable";
  if (word == "notchecked") return "not checked";
  if (word == "notselected") return "not selected";
  return word;
}

std::string outcome_words(std::string_view outcome) {
  if (outcome == "needs_reboot") return "needs a reboot";
  if (outcome == "already_passing") return "passed before";
  if (outcome == "scan_only") return "scanned only";
  if (outcome == "trial_only") return "passed in trial";
  std::string words(outcome);
  for (char& c : words)
    if (c == '_') c = ' ';
  return words;
}

std::string origin_words(const json& origin) {
  if (origin.is_null()) return "";
  return origin == "vetted" ? "vetted fix" : "model";
}

std::string count_words(int64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string seconds_words(double seconds) {
  std::array<char, 64> text{};
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (seconds < 10)
    std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  else if (whole < 60)
    std::snprintf(text.data(), text.size(), "%lld s", whole);
  else if (whole < 3600)
    std::snprintf(text.data(), text.size(), "%lld min %lld s", whole / 60, whole % 60);
  else
    std::snprintf(text.data(), text.size(), "%lld h %lld min", whole / 3600, whole % 3600 / 60);
  return text.data();
}

std::string short_rule_id(std::string_view id) {
  static constexpr std::string_view kMark = "_rule_";
  const size_t at = id.find(kMark);
  return std::string(id.starts_with("xccdf_") && at != std::string_view::npos ? id.substr(at + kMark.size()) : id);
}

Headline headline(const json& report) {
  const json& counts = report.at("counts");
  const int64_t open = number(counts, "open_findings");
  const int64_t review = number(counts, "to_review");
  const int64_t waived = number(counts, "waived_findings");
  Headline line;
  if (report.at("totals").at("before").is_null()) {
    line.verdict = "The target was not scanned; this run says nothing about its compliance.";
    line.details = report.at("run").at("reason").get<std::string>();
    return line;
  }
  line.verdict = open == 0 ? "No finding is open" : count_words(open, "finding is", "findings are") + " open";
  const json& severities = report.at("by_severity");
  const int64_t high = severities.contains("high") ? number(severities.at("high"), "open_findings") : 0;
  if (open > 0) line.verdict += ", " + (high == 0 ? std::string("none") : std::to_string(high)) + " of high severity";
  line.verdict += " (of " + count_words(number(counts, "rules"), "rule", "rules") + ")";
  if (review > 0) line.verdict += "; " + count_words(review, "rule needs", "rules need") + " a person's review";
  line.verdict += ".";
  line.details = changes_sentence(report);
  if (waived > 0) line.details += " " + count_words(waived, "finding is", "findings are") + " waived.";
  const size_t worse = report.at("regressed").size();
  if (!report.at("totals").at("after").is_null() && report.at("mode") == "apply")
    line.details += worse == 0
                        ? " No rule that passed before is anything else now."
                        : " " + count_words(static_cast<int64_t>(worse), "rule that passed before no longer does.",
                                            "rules that passed before no longer do.");
  line.good = open == 0 && review == 0 && worse == 0 && report.at("status") == "complete";
  return line;
}

}  // namespace gf
