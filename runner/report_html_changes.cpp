// What was changed and by whom, what remains open and why, and what was waived.
#include <algorithm>

#include "runner/html_text.h"
#include "runner/report_html_parts.h"
#include "runner/report_words.h"

namespace gf {
namespace {

using nlohmann::json;

std::string rule_link(const json& rule, size_t index) {
  return "<a href=\"#" + rule_anchor(index) + "\">" + html(rule.at("title")) + "</a><br><span class=\"mono soft\">" +
         html(std::string_view(short_rule_id(rule.at("id").get<std::string>()))) + "</span>";
}

std::string digest_start(const json& change, const char* key) {
  if (!change.contains(key) || change.at(key).is_null()) return "&ndash;";
  return "<span class=\"mono\">" + html(std::string_view(change.at(key).get<std::string>().substr(0, 16))) + "</span>";
}

std::string attempts_words(const json& by_outcome) {
  std::string text;
  for (const auto& [word, count] : by_outcome.items())
    text += (text.empty() ? "" : ", ") + count.dump() + " " + html(std::string_view(outcome_words(word)));
  return text.empty() ? "none" : text;
}

std::string who_table(const json& report) {
  const json& counts = report.at("counts");
  const json& seconds = report.at("times").at("attempt_seconds");
  std::string rows;
  for (const char* origin : {"vetted", "model"}) {
    const std::string name = origin;
    const std::string attempts = counts.at(name + "_attempts").dump();
    rows += "<tr><td>" +
            std::string(name == "vetted" ? "Vetted fix, shipped with the content" : "Fix written by the model") +
            "</td><td class=\"n\">" + counts.at("fixed_by_" + name).dump() + "</td><td class=\"n\">" +
            counts.at("trial_passed_by_" + name).dump() + "</td><td class=\"n\">" + attempts + "</td><td>" +
            attempts_words(counts.at("attempts_by_outcome").at(name)) + "</td><td class=\"n\">" +
            seconds_words(seconds.at(name).get<double>()) + "</td></tr>\n";
  }
  return "<table><thead><tr><th>By whom</th><th class=\"n\">rules fixed</th><th class=\"n\">passed in trial "
         "only</th><th class=\"n\">attempts</th><th>how they ended</th>"
         "<th class=\"n\">time</th></tr></thead><tbody>\n" +
         rows + "</tbody></table>\n";
}

std::string commit_words(const json& commit) {
  if (commit.at("outcome") == "committed") return "";
  return "<br>" + tag("t-bad", html(std::string_view(outcome_words(commit.at("outcome").get<std::string>())))) + " " +
         html(commit.at("reason"));
}

}  // namespace

std::string files_section(const json& report) {
  std::string rows;
  for (const json& commit : report.at("commits"))
    for (const json& change : commit.at("changes"))
      rows += html_row({"<span class=\"mono\">" + html(change.at("path")) + "</span>" + commit_words(commit),
                        html(change.at("kind")),
                        "<span class=\"mono\">" +
                            html(std::string_view(short_rule_id(commit.at("rule").get<std::string>()))) + "</span>",
                        commit.at("origin") == "vetted" ? "vetted" : "model", digest_start(change, "before_digest"),
                        digest_start(change, "after_digest")});
  const std::string title = "<h2 id=\"files\">Files changed on the target</h2>\n";
  if (rows.empty()) return title + "<p>None.</p>\n";
  return title +
         "<table class=\"fixed\"><colgroup><col><col "
         "class=\"c-kind\"><col><col class=\"c-by\">"
         "<col class=\"c-digest\"><col class=\"c-digest\"></colgroup><thead>" +
         html_row({"File", "Kind", "For the rule", "By", "Before", "After"}, "th") + "</thead><tbody>\n" + rows +
         "</tbody></table>\n<p class=\"soft\">In the order of the commits; the first 16 digits of the SHA-384 digests; "
         "the whole ones stand with "
         "each rule and in report.json. "
         "The originals are in the state folder; <code>gf-run roll-back job.toml " +
         html(report.at("run").at("id")) + "</code> puts them back.</p>\n";
}

namespace {

bool is_open(const json& rule) { return rule.at("standing") == "finding" || rule.at("standing") == "to_review"; }

// Without a reason of its own a rule still says what was tried.
std::string why(const json& rule) {
  const std::string reason = rule.at("reason").get<std::string>();
  if (!reason.empty()) return html(std::string_view(reason));
  if (!rule.at("attempts").empty()) {
    const json& last = rule.at("attempts").back();
    if (!last.at("reason").get<std::string>().empty()) return html(last.at("reason"));
  }
  return rule.at("has_fix") == true ? "no attempt was made" : "the content has no fix for this rule";
}

}  // namespace

std::string changes_section(const json& report) {
  std::string text = "<h2 id=\"changes\">What was changed, and by whom</h2>\n" + who_table(report);
  const json& counts = report.at("counts");
  if (counts.at("fixed_as_side_effect").get<int64_t>() > 0)
    text += "<p>" +
            count_words(counts.at("fixed_as_side_effect").get<int64_t>(), "more rule passes", "more rules pass") +
            " because of fixes made for other rules.</p>\n";
  for (const json& event : report.at("roll_backs"))
    text += "<p>Commit " + html(event.at("commit_id")) + " was rolled back: " + html(event.at("reason")) + "</p>\n";
  for (const json& note : report.at("notes")) text += "<p><b>Note:</b> " + html(note) + "</p>\n";
  return text;
}

std::string open_section(const json& report) {
  const json& rules = report.at("rules");
  std::string rows;
  for (const std::string& severity : severities_in_order(report))
    for (size_t i = 0; i < rules.size(); ++i)
      if (rules[i].at("severity") == severity && is_open(rules[i]))
        rows += html_row({html(std::string_view(severity)), rule_link(rules[i], i),
                          result_tag(rules[i].at("after").is_null() ? rules[i].at("before") : rules[i].at("after")),
                          outcome_tag(rules[i]) + "<br>" + why(rules[i])});
  const std::string title = "<h2 id=\"open\">What remains open, and why</h2>\n";
  if (rows.empty()) return title + "<p>Nothing.</p>\n";
  return title +
         "<table class=\"fixed\"><colgroup><col class=\"c-sev\"><col class=\"c-rule\"><col "
         "class=\"c-res\"><col></colgroup><thead>" +
         html_row({"Severity", "Rule", "Result", "Outcome and reason"}, "th") + "</thead><tbody>\n" + rows +
         "</tbody></table>\n";
}

std::string waivers_section(const json& report) {
  std::string rows;
  for (const json& waiver : report.at("waivers")) {
    const std::string counts = waiver.at("active") == true
                                   ? tag("t-note", "counts")
                                   : tag("t-bad", "does not count") + "<br>" + html(waiver.at("problem"));
    rows += html_row({"<span class=\"mono\">" +
                          html(std::string_view(short_rule_id(waiver.at("rule").get<std::string>()))) + "</span>",
                      html(waiver.at("reason")), html(waiver.at("author")), html(waiver.at("approver")),
                      html(waiver.at("expires")), counts});
  }
  const std::string title = "<h2 id=\"waivers\">Waivers</h2>\n";
  if (rows.empty()) return title + "<p>None.</p>\n";
  return title +
         "<table class=\"fixed\"><colgroup><col><col><col class=\"c-res\"><col class=\"c-res\"><col class=\"c-kind\">"
         "<col class=\"c-digest\"></colgroup><thead>" +
         html_row({"Rule", "Reason", "Written by", "Approved by", "Until", "State"}, "th") + "</thead><tbody>\n" +
         rows +
         "</tbody></table>\n<p class=\"soft\">A waiver needs an approver who is not its author, and a date; from that "
         "date on the rule is a finding again.</p>\n";
}

}  // namespace gf
