// What the report says of a run, and which streams of events it refuses.
#include "runner/report.h"

#include <set>

#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"
#include "runner/html_text.h"
#include "runner/report_html.h"
#include "runner/report_show.h"
#include "tests/runner_report/sample_run.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

using nlohmann::json;
using test::error_of;
using test::SampleEvent;
using test::SampleOptions;

json report_of(const std::vector<SampleEvent>& events) { return build_report(test::entries_of(events)); }

const json& rule_of(const json& report, size_t index) { return report.at("rules").at(index); }

SampleEvent& event_of(std::vector<SampleEvent>& events, const std::string& type, size_t which = 0) {
  for (SampleEvent& event : events)
    if (event.type == type && which-- == 0) return event;
  FAIL("no such event: " << type);
  return events.front();
}

Error refused(const std::vector<SampleEvent>& events) {
  return error_of([&] { report_of(events); });
}

SampleOptions few() {
  SampleOptions options;
  options.rules = 60;
  return options;
}

TEST_CASE("every_selected_rule_has_exactly_one_entry") {
  const json report = report_of(test::sample_events());
  std::set<std::string> ids;
  for (const json& rule : report.at("rules")) ids.insert(rule.at("id").get<std::string>());
  CHECK(report.at("rules").size() == 450);
  CHECK(ids.size() == 450);
  CHECK(rule_of(report, 1).at("outcome") == "not_applicable");
  CHECK(rule_of(report, 2).at("outcome") == "not_checked");
}

TEST_CASE("vetted_and_model_fixes_are_counted_apart") {
  const json report = report_of(test::sample_events());
  int64_t vetted = 0;
  int64_t model = 0;
  for (const json& rule : report.at("rules")) {
    vetted += rule.at("outcome") == "fixed" && rule.at("fixed_by") == "vetted" ? 1 : 0;
    model += rule.at("outcome") == "fixed" && rule.at("fixed_by") == "model" ? 1 : 0;
  }
  const json& counts = report.at("counts");
  CHECK(vetted > 200);
  CHECK(model > 5);
  CHECK(counts.at("fixed_by_vetted") == vetted);
  CHECK(counts.at("fixed_by_model") == model);
  CHECK(counts.at("fixed") == vetted + model);
  CHECK(report.at("totals").at("after").at("pass").get<int64_t>() -
            report.at("totals").at("before").at("pass").get<int64_t>() ==
        vetted + model);
}

TEST_CASE("the_report_keeps_to_its_schema") {
  const json schema =
      parse_json(read_text_file(std::filesystem::path(GF_SOURCE_DIR) / "runner/report.schema.json", 1 << 20), "schema");
  for (const char* mode : {"scan", "trial", "apply"})
    for (const bool finished : {true, false}) {
      SampleOptions options = few();
      options.mode = mode;
      options.finished = finished;
      const std::vector<std::string> problems =
          test::schema_problems(schema, schema, report_of(test::sample_events(options)), "report");
      INFO(mode << " " << (problems.empty() ? "" : problems.front()));
      CHECK(problems.empty());
    }
}

TEST_CASE("the_schema_check_can_fail") {
  const json schema =
      parse_json(read_text_file(std::filesystem::path(GF_SOURCE_DIR) / "runner/report.schema.json", 1 << 20), "schema");
  json report = report_of(test::sample_events(few()));
  report["rules"][3]["before"] = "PASS";
  report["rules"][4].erase("after");
  report["counts"]["fixed"] = "7";
  report["surprise"] = 1;
  CHECK(test::schema_problems(schema, schema, report, "report").size() == 4);
}

TEST_CASE("a_waiver_needs_two_people_and_a_date_ahead") {
  const Time now = parse_time("2026-11-21T06:00:00Z", "now");
  CHECK(waiver_problem("ann", "bob", "2026-11-22", now).empty());
  CHECK(waiver_problem("ann", "bob", "2026-11-21T06:00:01Z", now).empty());
  CHECK(waiver_problem("ann", "bob", "2026-11-21T06:00:00Z", now).find("expired") != std::string::npos);
  CHECK(waiver_problem("ann", " Ann ", "2027-01-01", now).find("approver is its author") != std::string::npos);
  CHECK_FALSE(waiver_problem("ann", " ", "2027-01-01", now).empty());
  CHECK_FALSE(waiver_problem("", "bob", "2027-01-01", now).empty());
}

TEST_CASE("an_expired_waiver_is_a_finding_again") {
  const json report = report_of(test::sample_events(few()));
  CHECK(rule_of(report, 8).at("standing") == "waived");
  CHECK(rule_of(report, 8).at("outcome") == "waived");
  CHECK(rule_of(report, 10).at("standing") == "finding");
  CHECK(rule_of(report, 10).at("outcome") == "not_fixed");
  CHECK(rule_of(report, 10).at("reason").get<std::string>().find("expired on 2026-06-30") != std::string::npos);
}

TEST_CASE("a_waiver_approved_by_its_author_does_not_count_whatever_the_job_said") {
  auto events = test::sample_events(few());
  event_of(events, "waivers").body["waivers"][0]["approver"] = "j. admin";
  const json report = report_of(events);
  CHECK(rule_of(report, 8).at("standing") == "finding");
  CHECK(report.at("waivers")[0].at("active") == false);
}

TEST_CASE("the_report_claims_no_more_than_the_last_scan") {
  auto events = test::sample_events(few());
  event_of(events, "scan", 1).body["states"][14]["result"] = "error";  // a vetted fix
  event_of(events, "scan", 1).body["states"][0]["result"] = "fail";    // passed before
  event_of(events, "scan", 1).body["states"][5]["result"] = "pass";    // refused
  const json report = report_of(events);
  CHECK(rule_of(report, 14).at("outcome") == "not_fixed");
  CHECK(rule_of(report, 14).at("fixed_by").is_null());
  CHECK(rule_of(report, 14).at("standing") == "to_review");
  CHECK(report.at("regressed") == json::array({rule_of(report, 0).at("id")}));
  CHECK(rule_of(report, 5).at("outcome") == "fixed");
  CHECK(rule_of(report, 5).at("fixed_by").is_null());
  CHECK(report.at("counts").at("fixed_as_side_effect") == 1);
}

TEST_CASE("a_rule_that_the_last_scan_does_not_mention_was_not_checked") {
  auto events = test::sample_events(few());
  event_of(events, "scan", 1).body["states"].erase(0);
  CHECK(rule_of(report_of(events), 0).at("after") == "notchecked");
}

TEST_CASE("rolled_back_commits_count_as_no_change") {
  const json report = report_of(test::sample_events(few()));
  CHECK(rule_of(report, 11).at("outcome") == "rolled_back");
  CHECK(rule_of(report, 11).at("files_changed").empty());
  CHECK(report.at("counts").at("commits_rolled_back") == 1);
  CHECK(rule_of(report, 14).at("files_changed").size() == 1);
}

TEST_CASE("an_interrupted_run_says_so_and_knows_no_after") {
  SampleOptions options = few();
  options.finished = false;
  const json report = report_of(test::sample_events(options));
  CHECK(report.at("status") == "interrupted");
  CHECK(report.at("totals").at("after").is_null());
  CHECK(rule_of(report, 14).at("after").is_null());
}

TEST_CASE("a_scan_alone_reports_the_same_before_and_after") {
  SampleOptions options = few();
  options.mode = "scan";
  const json report = report_of(test::sample_events(options));
  CHECK(report.at("totals").at("before") == report.at("totals").at("after"));
  CHECK(rule_of(report, 14).at("outcome") == "scan_only");
}

TEST_CASE("rule_ids_with_pass_in_them_are_no_results") {
  auto events = test::sample_events(few());
  const json report = report_of(events);
  CHECK(rule_of(report, 10).at("id").get<std::string>().find("password") != std::string::npos);
  CHECK(rule_of(report, 10).at("after") == "fail");
}

TEST_CASE("events_that_cannot_be_true_are_refused") {
  const auto good = test::sample_events(few());
  const auto with = [&](const auto& change) {
    auto events = good;
    change(events);
    const Error error = refused(events);
    CHECK(error.code() == Code::corrupt);
    return error.message();
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  using Events = std::vector<SampleEvent>;
  CHECK(contains(with([](Events& e) { e.erase(e.begin()); }), "begins with run_started"));
  CHECK(contains(with([](Events& e) { e.push_back(e.back()); }), "nothing may follow run_finished"));
  CHECK(contains(with([](Events& e) { e.insert(e.begin() + 3, e.front()); }), "only once"));
  CHECK(contains(with([](Events& e) { e[5].type = "surprise\x1b[2J"; }), "\\x1b[2J"));
  CHECK(contains(with([](Events& e) {
                   event_of(e, "attempt").body.erase("exit_code"), event_of(e, "attempt").body.erase("reason");
                 }),
                 "\"reason\" is missing"));
  CHECK(contains(with([](Events& e) { event_of(e, "attempt").body["attempt"] = 9; }), "no intent before it"));
  CHECK(contains(with([](Events& e) { event_of(e, "attempt").body["rule"] = "xccdf_x"; }),
                 "not one that the profile selects"));
  CHECK(contains(with([](Events& e) { event_of(e, "attempt_intent").body["script"] = "rm -rf /"; }),
                 "not the digest of the script"));
  CHECK(contains(with([](Events& e) { event_of(e, "commit").body["commit_id"] = "c9"; }), "no intent before it"));
  CHECK(contains(with([](Events& e) {
                   event_of(e, "attempt").body["outcome"] = "unhealthy";
                   event_of(e, "attempt", 1).body["outcome"] = "failed";
                   event_of(e, "attempt", 2).body["outcome"] = "failed";
                 }),
                 "did not pass"));
  CHECK(contains(with([](Events& e) { event_of(e, "models").body["models"] = json::array(); }), "names no model"));
  CHECK(
      contains(with([](Events& e) { event_of(e, "scan").body["states"][0]["result"] = "HEALTHY"; }), "not known here"));
  CHECK(contains(with([](Events& e) {
                   auto& s = event_of(e, "scan").body["states"];
                   s.push_back(s[0]);
                 }),
                 "two results"));
  CHECK(contains(with([](Events& e) {
                   auto& r = event_of(e, "benchmark").body["rules"];
                   r.push_back(r[0]);
                 }),
                 "listed twice"));
  CHECK(contains(with([](Events& e) { event_of(e, "scan", 1).body["phase"] = "batch"; }), "before and after"));
  CHECK(contains(with([](Events& e) { std::swap(e[e.size() - 3], e[5]); }), ""));
}

// Nothing of a hostile text may open an element, end one, or reach the reader as a control.
void check_page(const std::string& page) {
  for (const char* part : {"<script", "<img", "onerror=alert(1)>", "]]>", "<!--", "</style></pre>", "\x1b", "\x07",
                           "\xE2\x80\xAE", "\xff"})
    CHECK(page.find(part) == std::string::npos);
  CHECK(page.find("&lt;script&gt;alert(1)&lt;/script&gt;") != std::string::npos);
  CHECK(page.find("<span class=\"ctl\">\\x1b</span>[2J") != std::string::npos);
  CHECK(is_valid_utf8(page));
}

TEST_CASE("hostile_text_never_becomes_markup") {
  SampleOptions options = few();
  options.hostile = true;
  auto events = test::sample_events(options);
  event_of(events, "run_started").body["host"] = test::hostile_text();
  event_of(events, "run_started").body["target"]["path"] = test::hostile_text();
  event_of(events, "run_started").body["bundles"][0]["signers"][0]["subject"] = test::hostile_text();
  event_of(events, "benchmark").body["rules"][1]["severity"] = test::hostile_text();
  event_of(events, "run_finished").body["status"] = "partial";
  event_of(events, "run_finished").body["reason"] = test::hostile_text();
  check_page(render_html(report_of(events)));
  const std::string shown = show_report(report_of(events));
  CHECK(printable(shown, Lines::keep) == shown);
  CHECK(shown.find("\\x1b[2J") != std::string::npos);
}

TEST_CASE("the_page_loads_nothing_and_runs_nothing") {
  const std::string page = render_html(report_of(test::sample_events(few())));
  CHECK(page.find("content=\"default-src 'none'; style-src 'sha256-") != std::string::npos);
  for (const char* part :
       {"<script", "src=", "href=\"http", "@import", "url(", " style=", "onclick", "<iframe", "<form"})
    CHECK(page.find(part) == std::string::npos);
}

TEST_CASE("the_demonstration_model_is_announced_and_only_then") {
  SampleOptions options = few();
  CHECK(render_html(report_of(test::sample_events(options))).find("This run used the demonstration model") !=
        std::string::npos);
  options.demo_model = false;
  CHECK(render_html(report_of(test::sample_events(options))).find("demonstration model") == std::string::npos);
}

TEST_CASE("controls_are_told_from_the_same_characters_typed") {
  CHECK(html(std::string_view("\x1b")) == "<span class=\"ctl\">\\x1b</span>");
  CHECK(html(std::string_view("\\x1b")) == "\\x1b");
  CHECK(html(std::string_view("a\n\tb"), HtmlLines::keep) == "a\n\tb");
  CHECK(html(std::string_view("\xE2\x82")) == "<span class=\"ctl\">\\xe2</span><span class=\"ctl\">\\x82</span>");
  CHECK(html(std::string_view("caf\xC3\xA9")) == "caf\xC3\xA9");
  CHECK(html_attribute("\"><x\x1b") == "&quot;&gt;&lt;x\\x1b");
}

}  // namespace
}  // namespace gf
