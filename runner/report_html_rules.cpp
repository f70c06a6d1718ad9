// Every rule with all that is known of it: evidence, attempts, scripts, refusals, files.
#include <array>
#include <cstdio>

#include "runner/html_text.h"
#include "runner/report_html_parts.h"
#include "runner/report_words.h"

namespace gf {
namespace {

using nlohmann::json;

// report.json holds the whole texts; the page stays small enough to open.
constexpr size_t kShownText = 12000;

std::string text_of(const json& object, const char* key) {
  return object.at(key).is_string() ? object.at(key).get<std::string>() : std::string();
}

std::string titled(const std::string& title, const std::string& text) {
  const std::string block = html_block(text, kShownText);
  return block.empty() ? "" : "<h4>" + title + "</h4>\n" + block;
}

std::string mode_words(const json& change, const char* key) {
  if (!change.contains(key) || change.at(key).is_null()) return "";
  if (change.at(key).is_string()) return html(change.at(key));
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", change.at(key).get<unsigned>());
  return text.data();
}

std::string side(const json& change, const char* digest, const char* mode) {
  if (!change.contains(digest) || change.at(digest).is_null()) {
    const std::string bits = mode_words(change, mode);
    return bits.empty() ? "&ndash;" : "mode " + bits;
  }
  const std::string bits = mode_words(change, mode);
  return "<span class=\"mono\">" + html(change.at(digest)) + "</span>" + (bits.empty() ? "" : "<br>mode " + bits);
}

std::string files(const json& rule) {
  if (rule.at("files_changed").empty()) return "";
  std::string rows;
  for (const json& change : rule.at("files_changed"))
    rows += html_row({"<span class=\"mono\">" + html(change.at("path")) + "</span>", html(change.at("kind")),
                      side(change, "before_digest", "before_mode"), side(change, "after_digest", "after_mode")});
  return "<h4>Files changed on the target</h4>\n<table class=\"fixed\"><colgroup><col><col "
         "class=\"c-kind\"><col><col></colgroup><thead>" +
         html_row({"File", "Kind", "Before (SHA-384)", "After (SHA-384)"}, "th") + "</thead><tbody>" + rows +
         "</tbody></table>\n";
}

std::string attempt_changes(const json& attempt) {
  if (attempt.at("changes").empty()) return "";
  std::string text = "<p>Changed in the trial: ";
  for (size_t i = 0; i < attempt.at("changes").size(); ++i) {
    const json& change = attempt.at("changes")[i];
    text += (i == 0 ? "" : ", ") + ("<span class=\"mono\">" + html(change.at("path")) + "</span>") + " (" +
            html(change.at("kind")) + ")";
  }
  return text + "</p>\n";
}

std::string attempt_section(const json& attempt) {
  const json& outcome = attempt.at("outcome");
  const std::string words = outcome.is_null() ? "interrupted" : outcome_words(outcome.get<std::string>());
  std::string text = "<div class=\"attempt\">\n<h4>Attempt " + html(attempt.at("attempt")) + ", " +
                     html(std::string_view(origin_words(attempt.at("origin")))) + " " +
                     tag(outcome == "passed" ? "t-good" : "t-bad", html(std::string_view(words))) + "</h4>\n";
  if (!text_of(attempt, "reason").empty()) text += "<p>" + html(attempt.at("reason")) + "</p>\n";
  if (!attempt.at("refused_by").is_null())
    text += "<p>Refused by the policy rule <code>" + html(attempt.at("refused_by")) + "</code></p>\n";
  std::string facts;
  if (!attempt.at("exit_code").is_null()) facts += "exit code " + html(attempt.at("exit_code")) + "; ";
  if (!attempt.at("result").is_null())
    facts += "evaluated in the trial: " + html(std::string_view(result_words(attempt.at("result")))) + "; ";
  if (!attempt.at("seconds").is_null())
    facts += html(std::string_view(seconds_words(attempt.at("seconds").get<double>()))) + "; ";
  text += "<p class=\"soft\">" + facts + "started " + html(attempt.at("started")) + "</p>\n";
  text += attempt_changes(attempt);
  text += titled("Script", text_of(attempt, "script"));
  text += titled("Output", text_of(attempt, "output"));
  text += titled("Expected and collected", text_of(attempt, "evidence"));
  if (!attempt.at("plan").is_null()) text += titled("The model&#39;s plan", attempt.at("plan").dump(1));
  if (!attempt.at("lesson").is_null()) text += "<p>Lesson drawn: " + html(attempt.at("lesson")) + "</p>\n";
  return text + "</div>\n";
}

std::string identifiers(const json& rule) {
  std::string text = "<p class=\"soft\"><span class=\"mono\">" + html(rule.at("id")) + "</span>";
  for (const char* key : {"stig_id", "sv_id"})
    if (!text_of(rule, key).empty()) text += " &middot; " + html(rule.at(key));
  for (const json& reference : rule.at("references")) text += " &middot; " + html(reference);
  return text + "</p>\n";
}

std::string rule_body(const json& rule) {
  std::string text = "<div class=\"body\">\n" + identifiers(rule);
  if (!text_of(rule, "reason").empty()) text += "<p><b>Why:</b> " + html(rule.at("reason")) + "</p>\n";
  if (!rule.at("waiver").is_null()) {
    const json& waiver = rule.at("waiver");
    text += "<p><b>Waiver:</b> " + html(waiver.at("reason")) + " (written by " + html(waiver.at("author")) +
            ", approved by " + html(waiver.at("approver")) + ", until " + html(waiver.at("expires")) + ")" +
            (waiver.at("active") == true ? "" : "; it does not count: " + html(waiver.at("problem"))) + "</p>\n";
  }
  text += titled("What the rule asks for", text_of(rule, "description"));
  const bool two = text_of(rule, "evidence") != text_of(rule, "evidence_before");
  if (two) text += titled("Evidence before", text_of(rule, "evidence_before"));
  text += titled(two ? "Evidence after" : "Evidence", text_of(rule, "evidence"));
  text += files(rule);
  for (const json& attempt : rule.at("attempts")) text += attempt_section(attempt);
  return text + "</div>\n";
}

std::string rule_entry(const json& rule, size_t index) {
  return "<details class=\"rule\" id=\"" + rule_anchor(index) + "\"><summary><span>" + html(rule.at("severity")) +
         "</span><span class=\"name\">" + html(rule.at("title")) + "<span class=\"mono\">" +
         html(std::string_view(short_rule_id(rule.at("id").get<std::string>()))) + "</span></span><span>" +
         result_tag(rule.at("before")) + "</span><span>" + result_tag(rule.at("after")) + "</span><span>" +
         outcome_tag(rule) + "</span><span>" +
         (rule.at("fixed_by") == "vetted"  ? "vetted"
          : rule.at("fixed_by") == "model" ? "model"
                                           : "&ndash;") +
         "</span></summary>\n" + rule_body(rule) + "</details>\n";
}

}  // namespace

std::string rules_section(const json& report) {
  const json& rules = report.at("rules");
  std::string text =
      "<h2 id=\"rules\">Every rule</h2>\n<p class=\"soft\">All " + std::to_string(rules.size()) +
      " rules that the profile selects. Open a line for its evidence, attempts, scripts and files.</p>\n";
  for (const std::string& severity : severities_in_order(report)) {
    text += "<h3>Severity: " + html(std::string_view(severity)) + "</h3>\n" +
            "<div "
            "class=\"head\"><span>Severity</span><span>Rule</span><span>Before</span><span>After</span><span>Outcome</"
            "span><span>By</span></div>\n";
    for (size_t i = 0; i < rules.size(); ++i)
      if (rules[i].at("severity") == severity) text += rule_entry(rules[i], i);
  }
  return text;
}

}  // namespace gf
