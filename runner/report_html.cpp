// The page from top to bottom: verdict, totals, what was changed, what is open, every rule, where it
// all came from, how to check it.
#include "runner/report_html.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "runner/html_style.h"
#include "runner/html_text.h"
#include "runner/report_html_parts.h"
#include "runner/report_words.h"

namespace gf {
namespace {

using nlohmann::json;

// CSP level 3: 'sha256-<base64>' lets in exactly this style sheet, and no style attribute.
std::string style_source() {
  std::array<unsigned char, 32> digest{};
  unsigned length = 0;
  if (EVP_Digest(kReportStyle.data(), kReportStyle.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
    throw Error(Code::internal, "cannot compute the digest of the page's style sheet");
  std::array<unsigned char, 48> text{};
  const int size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
  return "'sha256-" + std::string(text.begin(), text.begin() + size) + "'";
}

int64_t number(const json& object, const char* key) {
  return object.is_null() || !object.contains(key) ? 0 : object.at(key).get<int64_t>();
}

std::string head(const json& report) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src " +
         style_source() +
         "; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
         "<meta name=\"referrer\" content=\"no-referrer\">\n<title>Compliance report: " +
         html_attribute(report.at("run").at("host").get<std::string>()) + ", " +
         html_attribute(report.at("run").at("id").get<std::string>()) + "</title>\n<style>" +
         std::string(kReportStyle) + "</style>\n</head>\n<body>\n";
}

std::string mode_words(const json& mode) {
  if (mode == "scan") return "scan (look only)";
  if (mode == "trial") return "trial (changes tried in copies, none on the target)";
  if (mode == "apply") return "apply (changes that passed were made on the target)";
  return html(mode);
}

std::string fact(const std::string& name, const std::string& value) {
  return "<dt>" + name + "</dt><dd>" + value + "</dd>";
}

std::string top(const json& report) {
  const json& run = report.at("run");
  const json& profile = report.at("profile");
  const std::string finished = run.at("finished").is_null() ? "not finished" : html(run.at("finished"));
  std::string text = "<header class=\"top\">\n<h1>Compliance report</h1>\n<p class=\"soft\">" +
                     (profile.is_null() ? std::string("no content was loaded") : html(profile.at("profile_title"))) +
                     "</p>\n";
  text += "<dl class=\"facts\">" + fact("Host", html(run.at("host"))) + fact("Run", html(run.at("id"))) +
          fact("Target", html(report.at("target").at("path")) + " (" + html(report.at("target").at("kind")) + ")") +
          fact("Status", html(report.at("status"))) + fact("Started", html(run.at("started"))) +
          fact("Finished", finished) + fact("Mode", mode_words(report.at("mode"))) +
          fact("Duration", html(std::string_view(seconds_words(run.at("seconds").get<double>())))) + "</dl>\n";
  return text + "</header>\n";
}

std::string banners(const json& report) {
  std::string text;
  if (report.at("demo_model") == true)
    text +=
        "<div class=\"banner\"><b>This run used the demonstration model:</b> seeded random weights, whose answers are "
        "nonsense by construction. Its attempts show that nonsense is refused or fails in a trial; they say nothing "
        "about what a trained model can do.</div>\n";
  if (report.at("status") != "complete")
    text += "<div class=\"banner\"><b>This run is " + html(report.at("status")) + ":</b> " +
            html(report.at("run").at("reason")) + ". What it had not come to is listed as skipped.</div>\n";
  const json& regressed = report.at("regressed");
  if (!regressed.empty()) {
    text += "<div class=\"banner alarm\"><b>" +
            count_words(static_cast<int64_t>(regressed.size()),
                        "rule that passed before does not pass now:", "rules that passed before do not pass now:") +
            "</b> <span class=\"mono\">";
    for (size_t i = 0; i < regressed.size(); ++i)
      text += (i == 0 ? "" : ", ") + html(std::string_view(short_rule_id(regressed[i].get<std::string>())));
    text += "</span></div>\n";
  }
  for (const json& event : report.at("recovered"))
    text += "<div class=\"banner\"><b>An earlier run was interrupted:</b> " + html(event.at("what")) +
            (event.at("commit_id").is_null() ? "" : " (commit " + html(event.at("commit_id")) + ")") + "</div>\n";
  if (report.at("run").at("clock").at("synchronized") == false)
    text += "<div class=\"banner\"><b>The clock was not synchronized</b> (source: " +
            html(report.at("run").at("clock").at("source")) + "): times in this report may be wrong.</div>\n";
  return text;
}

std::string verdict(const json& report) {
  const Headline line = headline(report);
  const bool bad = number(report.at("counts"), "open_findings") > 0 || !report.at("regressed").empty();
  return std::string("<section class=\"verdict ") +
         (line.good ? "good"
          : bad     ? "bad"
                    : "") +
         "\"><strong>" + html(std::string_view(line.verdict)) + "</strong><p>" + html(std::string_view(line.details)) +
         "</p></section>\n";
}

std::string tile(const std::string& figure, const std::string& words) {
  return "<div class=\"tile\"><b>" + figure + "</b><span>" + words + "</span></div>";
}

std::string tiles(const json& report) {
  const json& counts = report.at("counts");
  const json& totals = report.at("totals");
  if (totals.at("before").is_null()) return "";
  const auto passes = [&](const char* when) {
    const json& of = totals.at(when);
    return of.is_null() ? std::string("&ndash;") : std::to_string(number(of, "pass") + number(of, "fixed"));
  };
  return "<div class=\"tiles\">" + tile(passes("before"), "passed before") + tile(passes("after"), "pass at the end") +
         tile(std::to_string(number(counts, "fixed")), "fixed in this run") +
         tile(std::to_string(number(counts, "open_findings")), "findings open") +
         tile(std::to_string(number(counts, "to_review")), "to be reviewed by a person") + "</div>\n";
}

// One bar of 1000 units; SVG attributes, because the policy allows no style attributes.
std::string bar(const json& totals) {
  const std::array<std::pair<const char*, int64_t>, 4> parts = {{
      {"b-pass", number(totals, "pass") + number(totals, "fixed")},
      {"b-fail", number(totals, "fail")},
      {"b-rev", number(totals, "error") + number(totals, "unknown") + number(totals, "notchecked")},
      {"b-na", number(totals, "notapplicable") + number(totals, "notselected") + number(totals, "informational")},
  }};
  int64_t all = 0;
  for (const auto& [css_class, count] : parts) all += count;
  if (all == 0) return "";
  std::string text = "<svg class=\"bar\" viewBox=\"0 0 1000 14\" preserveAspectRatio=\"none\" aria-hidden=\"true\">";
  int64_t done = 0;
  for (const auto& [css_class, count] : parts) {
    const int64_t begin = done * 1000 / all;
    done += count;
    text += "<rect class=\"" + std::string(css_class) + "\" x=\"" + std::to_string(begin) + "\" width=\"" +
            std::to_string(done * 1000 / all - begin) + "\" height=\"14\"></rect>";
  }
  return text + "</svg>";
}

std::string cell(const json& totals, const char* key) {
  return totals.is_null() ? "&ndash;" : std::to_string(number(totals, key));
}

std::string totals_section(const json& report) {
  static constexpr std::array<std::pair<const char*, const char*>, 7> kShown = {{{"pass", "pass"},
                                                                                 {"fail", "fail"},
                                                                                 {"error", "error"},
                                                                                 {"unknown", "unknown"},
                                                                                 {"notchecked", "not checked"},
                                                                                 {"notapplicable", "not applicable"},
                                                                                 {"informational", "informational"}}};
  std::string header = "<tr><th></th>";
  for (const auto& [key, words] : kShown) header += "<th class=\"n\">" + std::string(words) + "</th>";
  std::string rows;
  std::string bars;
  for (const char* when : {"before", "after"}) {
    const json& totals = report.at("totals").at(when);
    rows += "<tr><td>" + std::string(when) + "</td>";
    for (const auto& [key, words] : kShown) rows += "<td class=\"n\">" + cell(totals, key) + "</td>";
    rows += "</tr>\n";
    if (!totals.is_null()) bars += html_row({std::string(when), bar(totals)});
  }
  const auto key = [](const char* css_class, const char* words) {
    return "<span class=\"key\"><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"" + std::string(css_class) +
           "\" width=\"1\" height=\"1\"></rect></svg>" + words + "</span>";
  };
  return "<h2 id=\"totals\">Totals before and after</h2>\n<table class=\"fixed\"><colgroup><col "
         "class=\"c-sev\"><col></colgroup>" +
         bars + "</table>\n<p>" + key("b-pass", "pass") + key("b-fail", "fail") +
         key("b-rev", "error, unknown, not checked") + key("b-na", "not applicable, informational") +
         "</p>\n<table><thead>" + header + "</tr></thead><tbody>\n" + rows +
         "</tbody></table>\n<p class=\"soft\">The words are those of XCCDF. &ldquo;After&rdquo; is one scan of the "
         "finished target.</p>\n";
}

std::string severity_section(const json& report) {
  std::string rows;
  for (const std::string& word : severities_in_order(report)) {
    const json& of = report.at("by_severity").at(word);
    rows += "<tr><td>" + html(std::string_view(word)) + "</td>";
    for (const std::string& figure :
         {std::to_string(number(of, "rules")), cell(of.at("before"), "pass"), cell(of.at("before"), "fail"),
          std::to_string(number(of, "fixed")), cell(of.at("after"), "pass"), cell(of.at("after"), "fail"),
          std::to_string(number(of, "open_findings")), std::to_string(number(of, "waived_findings")),
          std::to_string(number(of, "to_review"))})
      rows += "<td class=\"n\">" + figure + "</td>";
    rows += "</tr>\n";
  }
  std::string header = "<tr><th>Severity</th>";
  for (const char* words :
       {"rules", "pass before", "fail before", "fixed", "pass after", "fail after", "open", "waived", "to review"})
    header += "<th class=\"n\">" + std::string(words) + "</th>";
  return "<h2 id=\"severity\">By severity</h2>\n<table><thead>" + header + "</tr></thead><tbody>\n" + rows +
         "</tbody></table>\n";
}

std::string navigation() {
  return "<nav><a href=\"#totals\">Totals</a><a href=\"#severity\">By severity</a><a href=\"#changes\">What was "
         "changed</a>"
         "<a href=\"#open\">What remains open</a><a href=\"#waivers\">Waivers</a><a href=\"#files\">Files "
         "changed</a><a href=\"#rules\">Every rule</a>"
         "<a href=\"#time\">Time</a><a href=\"#origins\">Origins and digests</a><a href=\"#verify\">How to "
         "verify</a></nav>\n";
}

}  // namespace

std::string tag(const std::string& css_class, const std::string& words) {
  return "<span class=\"tag " + css_class + "\">" + words + "</span>";
}

std::string result_tag(const json& result) {
  const std::string words = html(std::string_view(result_words(result)));
  if (result == "pass" || result == "fixed") return tag("t-good", words);
  if (result == "fail") return tag("t-bad", words);
  if (result == "error" || result == "unknown" || result == "notchecked") return tag("t-warn", words);
  return tag("", words);
}

std::string outcome_tag(const json& rule) {
  const std::string outcome = rule.at("outcome").get<std::string>();
  const std::string words = html(std::string_view(outcome_words(outcome)));
  if (outcome == "fixed" || outcome == "trial_only") return tag("t-good", words);
  if (outcome == "waived" || outcome == "needs_reboot") return tag("t-note", words);
  if (outcome == "refused" || outcome == "rolled_back" || outcome == "error" || outcome == "not_fixed")
    return tag("t-bad", words);
  if (outcome == "skipped" || outcome == "not_checked") return tag("t-warn", words);
  return tag("", words);
}

std::vector<std::string> severities_in_order(const json& report) {
  std::vector<std::string> order;
  for (const char* word : {"high", "medium", "low"})
    if (report.at("by_severity").contains(word)) order.emplace_back(word);
  for (const auto& [word, of] : report.at("by_severity").items())
    if (std::find(order.begin(), order.end(), word) == order.end()) order.push_back(word);
  return order;
}

std::string rule_anchor(size_t index) { return "r-" + std::to_string(index + 1); }

std::string render_html(const json& report) {
  std::string page =
      head(report) + top(report) + "<main>\n" + banners(report) + verdict(report) + tiles(report) + navigation();
  if (!report.at("rules").empty()) page += totals_section(report) + severity_section(report);
  page += changes_section(report) + open_section(report) + waivers_section(report) + files_section(report) +
          rules_section(report) + times_section(report) + origins_section(report) + verify_section(report);
  page += "</main>\n<footer>Made by gf-run " + html(report.at("run").at("version")) +
          " from the run&#39;s journal alone. The same facts, for programs, are in "
          "report.json.</footer>\n</body>\n</html>\n";
  return page;
}

}  // namespace gf
