// The page's first screen, for terminals.
#include "runner/report_show.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/base/text.h"
#include "runner/report_words.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr size_t kOpenShown = 40;

std::string plain(const json& value) {
  return value.is_string() ? printable(value.get<std::string>()) : value.is_null() ? "-" : value.dump();
}

std::string line(const char* name, const std::string& value) {
  std::array<char, 32> label{};
  std::snprintf(label.data(), label.size(), "%-10s", name);
  return label.data() + value + "\n";
}

std::string totals_lines(const json& totals) {
  std::string text;
  for (const char* when : {"before", "after"}) {
    if (totals.at(when).is_null()) continue;
    std::string figures;
    for (const char* word :
         {"pass", "fixed", "fail", "error", "unknown", "notchecked", "notapplicable", "informational"})
      if (totals.at(when).at(word) != 0)
        figures += (figures.empty() ? "" : ", ") + totals.at(when).at(word).dump() + " " + result_words(word);
    text += line(when, figures);
  }
  return text;
}

std::string open_lines(const json& report) {
  std::string text;
  size_t shown = 0;
  size_t open = 0;
  for (const char* severity : {"high", "medium", "low", ""})
    for (const json& rule : report.at("rules")) {
      const bool other =
          rule.at("severity") != "high" && rule.at("severity") != "medium" && rule.at("severity") != "low";
      if (rule.at("standing") != "finding" || (*severity == '\0' ? !other : rule.at("severity") != severity)) continue;
      if (++open > kOpenShown) continue;
      ++shown;
      text += "  " + plain(rule.at("severity")) + "  " + printable(short_rule_id(rule.at("id").get<std::string>())) +
              "  " + outcome_words(rule.at("outcome").get<std::string>());
      const std::string reason = printable(shortened(rule.at("reason").get<std::string>(), 160));
      text += (reason.empty() ? "" : ": " + reason) + "\n";
    }
  if (open > shown) text += "  and " + std::to_string(open - shown) + " more; see report.html\n";
  return text.empty() ? "" : "\nOpen findings:\n" + text;
}

}  // namespace

std::string show_report(const json& report) {
  const Headline words = headline(report);
  const json& run = report.at("run");
  std::string text = printable(words.verdict) + "\n" + printable(words.details) + "\n\n";
  text +=
      line("run", plain(run.at("id")) + " (" + plain(report.at("status")) + ", mode " + plain(report.at("mode")) + ")");
  text += line("host", plain(run.at("host")));
  text += line("target", plain(report.at("target").at("path")) + " (" + plain(report.at("target").at("kind")) + ")");
  if (!report.at("profile").is_null()) text += line("profile", plain(report.at("profile").at("profile_title")));
  text += line("started", plain(run.at("started")) + ", took " + seconds_words(run.at("seconds").get<double>()));
  text += totals_lines(report.at("totals"));
  if (report.at("demo_model") == true)
    text +=
        "\nThis run used the demonstration model: seeded random weights, whose answers are nonsense by construction.\n";
  if (report.at("status") != "complete")
    text += "\nThis run is " + plain(report.at("status")) + ": " + plain(run.at("reason")) + "\n";
  for (const json& rule : report.at("regressed")) text += "passed before and does not pass now: " + plain(rule) + "\n";
  return text + open_lines(report);
}

}  // namespace gf
