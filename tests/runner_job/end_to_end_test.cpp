// The main job, from a signed bundle to a signed report, on a small root.
#include <sys/file.h>
#include <unistd.h>

#include <csignal>

#include "kernels/base/digest.h"
#include "kernels/base/fd.h"
#include "tests/runner_job/small_job.h"
#include "tests/support/small_root.h"

namespace gf {
namespace {

using test::rule_of;
using test::SmallJob;

#define GF_NEEDS_ROOT() \
  if (::geteuid() != 0) GF_SKIP("needs root: trials are made of mounts and namespaces")

test::Finished verify(const SmallJob& job) {
  return test::run({std::string(GF_BIN_DIR) + "/gf-report", "verify", job.path("reports/latest").native() + "/",
                    "--trust", job.path("trust.toml").native()});
}

// What two runs of one job may differ in is when and in which order things happened.
nlohmann::json without_times(nlohmann::json report) {
  for (const char* key : {"run", "times", "commits"}) report.erase(key);
  report["digests"].erase("previous_run");
  report["digests"].erase("journal_head");
  for (nlohmann::json& rule : report["rules"]) {
    rule.erase("seconds");
    for (nlohmann::json& attempt : rule["attempts"])
      for (const char* key : {"seconds", "started", "finished"}) attempt.erase(key);
    for (nlohmann::json& file : rule["files_changed"]) file.erase("commit_id");
  }
  return report;
}

}  // namespace

TEST_CASE("a_run_fixes_what_can_be_fixed_and_reports_the_rest", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  const test::Finished run = job.gf_run();
  INFO(run.output);
  REQUIRE(run.status == 0);
  const nlohmann::json report = job.report();
  REQUIRE(report.at("rules").size() == 9);
  for (const char* fixed : {"motd_present_long", "password_policy", "secret_mode", "drop_in"}) {
    INFO(fixed);
    const nlohmann::json rule = rule_of(report, fixed);
    CHECK(rule.at("before") == "fail");
    CHECK(rule.at("after") == "pass");
    CHECK(rule.at("outcome") == "fixed");
    CHECK(rule.at("fixed_by") == "vetted");
  }
  CHECK(rule_of(report, "motd_present").at("outcome") == "already_passing");
  CHECK(rule_of(report, "motd_present").at("after") == "pass");
  CHECK(rule_of(report, "breaks_motd").at("outcome") == "not_fixed");
  CHECK(rule_of(report, "unnamed_file").at("outcome") == "refused");
  CHECK(rule_of(report, "no_fix").at("outcome") == "not_fixed");
  CHECK(rule_of(report, "fails_always").at("after") == "fail");
  CHECK(job.file_of_target("etc/app.conf") == "colour=blue\npassword=yes\n");
  CHECK(job.file_of_target("etc/app.d/50-hardening.conf") == "hardening=on\n");
  CHECK(job.file_of_target("etc/other.conf") == "y=2\n");
  CHECK_FALSE(std::filesystem::exists(job.target() / "etc/surprise"));
  CHECK((std::filesystem::status(job.target() / "etc/secret").permissions() & std::filesystem::perms::mask) ==
        static_cast<std::filesystem::perms>(0600));
  const test::Finished verified = verify(job);
  INFO(verified.output);
  CHECK(verified.status == 0);
}

TEST_CASE("the_same_job_in_an_empty_network_namespace_gives_the_same_report", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  job.edit_job("[target]", "parallel_trials = 1\n[target]");  // attempts in the same order
  test::must_run({"cp", "-a", job.target().native(), job.path("pristine").native()});
  REQUIRE(job.gf_run().status == 0);
  const nlohmann::json with_interfaces = without_times(job.report());
  const auto target_after = test::snapshot(job.target());
  std::filesystem::remove_all(job.target());
  std::filesystem::rename(job.path("pristine"), job.target());
  const test::Finished run =
      test::run({"unshare", "--net", std::string(GF_BIN_DIR) + "/gf-run", job.path("job.toml").native()});
  INFO(run.output);
  REQUIRE(run.status == 0);
  CHECK(nlohmann::json::diff(with_interfaces, without_times(job.report())).dump(1) == "[]");
  CHECK(test::snapshot(job.target()) == target_after);
}

TEST_CASE("a_second_run_changes_nothing", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  REQUIRE(job.gf_run().status == 0);
  const auto after_first = test::snapshot(job.target());
  REQUIRE(job.gf_run().status == 0);
  CHECK(test::snapshot(job.target()) == after_first);
  CHECK(rule_of(job.report(), "password_policy").at("outcome") == "already_passing");
  CHECK(verify(job).status == 0);
}

TEST_CASE("scan_and_trial_leave_the_target_alone", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  const auto before = test::snapshot(job.target());
  REQUIRE(job.gf_run({"scan"}).status == 0);
  CHECK(rule_of(job.report(), "password_policy").at("outcome") == "scan_only");
  CHECK(test::snapshot(job.target()) == before);
  job.edit_job("mode = \"apply\"", "mode = \"trial\"");
  REQUIRE(job.gf_run().status == 0);
  CHECK(rule_of(job.report(), "password_policy").at("outcome") == "trial_only");
  CHECK(rule_of(job.report(), "password_policy").at("after") == "fail");
  CHECK(test::snapshot(job.target()) == before);
}

TEST_CASE("a_dry_run_shows_the_plan_and_writes_nothing", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  const auto before = test::snapshot(job.path("."));
  const test::Finished run = job.gf_run({"--dry-run"});
  INFO(run.output);
  CHECK(run.status == 0);
  CHECK(run.output.find("xccdf_org.example_rule_password_policy  vetted fix") != std::string::npos);
  CHECK(test::snapshot(job.path(".")) == before);
}

TEST_CASE("a_run_can_be_rolled_back", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  const auto before = test::snapshot(job.target());
  REQUIRE(job.gf_run().status == 0);
  CHECK(test::snapshot(job.target()) != before);
  const std::string run_id = job.report().at("run").at("id").get<std::string>();
  const test::Finished rolled_back =
      test::run({std::string(GF_BIN_DIR) + "/gf-run", "roll-back", job.path("job.toml").native(), run_id});
  INFO(rolled_back.output);
  CHECK(rolled_back.status == 0);
  CHECK(test::snapshot(job.target()) == before);
}

TEST_CASE("open_findings_can_fail_a_run", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  CHECK(job.gf_run({"--fail-on-findings"}).status == static_cast<int>(Code::findings));
}

TEST_CASE("a_second_run_at_the_same_time_ends_at_once_and_touches_nothing", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  REQUIRE(job.gf_run({"scan"}).status == 0);
  const Fd folder = open_directory(job.target());
  REQUIRE(::flock(folder.get(), LOCK_EX) == 0);
  const auto before = test::snapshot(job.path("."));
  const test::Finished run = job.gf_run();
  INFO(run.output);
  CHECK(run.status == static_cast<int>(Code::locked));
  CHECK(test::snapshot(job.path(".")) == before);
}

TEST_CASE("a_changed_bundle_a_wrong_digest_and_an_unknown_key_have_their_codes", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  job.edit_job("digest = \"", "colour = \"");
  CHECK(job.gf_run().status == static_cast<int>(Code::input));
  job.edit_job("colour = \"", "digest = \"");
  const std::string text = read_text_file(job.path("job.toml"), 1 << 20);
  const size_t at = text.find("digest = \"") + 10;
  const std::string digest = text.substr(at, 96);
  job.edit_job(digest, sha384("another").hex());
  CHECK(job.gf_run().status == static_cast<int>(Code::corrupt));
  CHECK_FALSE(std::filesystem::exists(job.path("reports")));
}

TEST_CASE("sigterm_ends_a_run_with_a_partial_signed_report", "[job]") {
  GF_NEEDS_ROOT();
  const SmallJob job;
  const pid_t child =
      test::start({std::string(GF_BIN_DIR) + "/gf-run", job.path("job.toml").native()}, job.path("log").native());
  // The first journal line tells that the run has begun and catches signals.
  for (int i = 0; i < 2000 && !std::filesystem::exists(job.path("state/journal/latest.json")); ++i) ::usleep(1000);
  ::kill(child, SIGTERM);
  const int status = test::wait_for(child);
  INFO(read_text_file(job.path("log"), 1 << 20));
  CHECK(status == static_cast<int>(Code::partial));
  CHECK(job.report().at("status") == "partial");
  CHECK(verify(job).status == 0);
}

}  // namespace gf
