// job.toml and the signed manifest: what is accepted, and that JOB.md says the same.
#include "runner/job.h"

#include <algorithm>
#include <regex>
#include <set>

#include "kernels/base/atomic_file.h"
#include "runner/job_manifest.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

const std::string kDigest = sha384("bundle").hex();

std::string job_text(const std::string& target = "kind = \"root\"\npath = \"target\"\n") {
  return "mode = \"apply\"\nstate = \"state\"\noutput = \"reports\"\ntrust = \"trust.toml\"\npolicy = \"policy.toml\"\n"
         "report_key = \"pki/report.key\"\nreport_certificate = \"pki/report.pem\"\n"
         "[[bundle]]\npath = \"b.gfb\"\ndigest = \"" +
         kDigest + "\"\n[target]\n" + target;
}

Job read_job(const std::string& text) {
  const test::TemporaryFolder folder;
  write_atomically(folder / "job.toml", text);
  return Job::read(folder / "job.toml");
}

constexpr const char* kManifest = R"(
version = 1
content = "ds.xml"
profile = "p"
rules = ["*"]
[[model]]
name = "m"
folder = "models/m"
[[role]]
name = "worker"
model = "m"
prompt = "w.txt"
)";

JobManifest parse_manifest_text(const std::string& text) { return JobManifest::parse(text, "job-manifest.toml"); }

// The words in backticks of the first cells of one section's table.
std::set<std::string> documented_keys(const std::string& section) {
  const std::string text = read_text_file(std::filesystem::path(GF_SOURCE_DIR) / "runner/JOB.md", 1 << 20);
  const size_t begin = text.find("## " + section + "\n");
  REQUIRE(begin != std::string::npos);
  const std::string part = text.substr(begin, text.find("\n## ", begin + 3) - begin);
  std::set<std::string> keys;
  const std::regex row("^\\|([^|]*)\\|"), word("`([a-z_]+)`");
  std::istringstream lines(part);
  for (std::string line; std::getline(lines, line);) {
    std::smatch cell;
    if (!std::regex_search(line, cell, row)) continue;
    const std::string first = cell[1].str();
    for (auto it = std::sregex_iterator(first.begin(), first.end(), word); it != std::sregex_iterator(); ++it)
      keys.insert((*it)[1].str());
  }
  return keys;
}

// The keys that a reader's source asks for by name.
std::set<std::string> read_keys(const std::string& file) {
  const std::string text = read_text_file(std::filesystem::path(GF_SOURCE_DIR) / file, 1 << 20);
  const std::regex call(
      "(?:string|string_or|choice|choice_or|integer|integer_or|number_or|boolean_or|strings|strings_or_none|path)\\(\"("
      "[a-z_]+)\"");
  std::set<std::string> keys;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), call); it != std::sregex_iterator(); ++it)
    keys.insert((*it)[1].str());
  return keys;
}

}  // namespace

TEST_CASE("a_job_is_read_with_paths_relative_to_its_file", "[job]") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "job.toml", job_text());
  const Job job = Job::read(folder / "job.toml");
  CHECK(job.mode == Mode::apply);
  CHECK(job.target == folder.path() / "target");
  CHECK(job.bundles.front().digest == sha384("bundle"));
  CHECK(job.digest == sha384(job_text()));
  CHECK(job.parallel_trials == 2);
}

TEST_CASE("an_unknown_key_a_missing_bundle_and_a_wrong_mode_are_refused", "[job]") {
  CHECK(test::error_of([] { read_job("colour = 1\n" + job_text()); }).message().find("unknown key \"colour\"") !=
        std::string::npos);
  std::string no_bundle = job_text();
  no_bundle.erase(no_bundle.find("[[bundle]]"), no_bundle.find("[target]") - no_bundle.find("[[bundle]]"));
  CHECK(test::error_of([&] { read_job(no_bundle); }).message().find("[[bundle]]") != std::string::npos);
  std::string wrong_mode = job_text();
  wrong_mode.replace(wrong_mode.find("apply"), 5, "force");
  CHECK(test::error_of([&] { read_job(wrong_mode); }).message().find("scan, trial, apply") != std::string::npos);
}

TEST_CASE("the_host_itself_is_never_taken_for_a_tree", "[job]") {
  CHECK(test::error_of([] { read_job(job_text("kind = \"root\"\npath = \"/\"\n")); }).code() == Code::input);
  CHECK(test::error_of([] { read_job(job_text("kind = \"root\"\npath = \"/usr/..\"\n")); }).code() == Code::input);
  CHECK(test::error_of([] { read_job(job_text("kind = \"host\"\npath = \"/x\"\n")); }).code() == Code::input);
  CHECK(read_job(job_text("kind = \"host\"\n")).target == "/");
}

TEST_CASE("a_manifest_is_read_with_its_defaults", "[job]") {
  const JobManifest manifest = parse_manifest_text(kManifest);
  CHECK(manifest.models.front().folder == "models/m/");
  CHECK(manifest.roles.at(RoleKind::worker).context_tokens == 8192);
  CHECK(manifest.modes.size() == 3);
  CHECK(manifest.model_attempts == 0);
}

TEST_CASE("a_role_without_its_model_and_roles_without_a_worker_are_refused", "[job]") {
  std::string text = kManifest;
  text.replace(text.find("model = \"m\""), 11, "model = \"n\"");
  CHECK(test::error_of([&] { parse_manifest_text(text); }).message().find("no [[model]] has the name") !=
        std::string::npos);
  text = kManifest;
  text.replace(text.find("\"worker\""), 8, "\"architect\"");
  CHECK(test::error_of([&] { parse_manifest_text(text); }).message().find("worker") != std::string::npos);
  CHECK(test::error_of([&] {
          parse_manifest_text(std::string(kManifest) + "[[role]]\nname = \"worker\"\nmodel = \"m\"\nprompt = \"x\"\n");
        })
            .message()
            .find("given twice") != std::string::npos);
}

TEST_CASE("a_waiver_needs_two_people_and_a_date", "[job]") {
  const std::string good =
      "[[waiver]]\nrule = \"r\"\nauthor = \"a\"\napprover = \"b\"\nreason = \"x\"\nexpires = \"2030-01-01\"\n";
  const JobManifest manifest = parse_manifest_text(kManifest + good);
  CHECK(why_waiver_does_not_count(manifest.waivers.front(), parse_time("2029-12-31T23:59:59Z", "t")).empty());
  CHECK_FALSE(why_waiver_does_not_count(manifest.waivers.front(), parse_time("2030-01-01", "t")).empty());
  std::string same = good;
  same.replace(same.find("\"b\""), 3, "\"a\"");
  CHECK(test::error_of([&] { parse_manifest_text(kManifest + same); }).code() == Code::input);
  std::string no_date = good;
  no_date.replace(no_date.find("2030-01-01"), 10, "next year!");
  CHECK(test::error_of([&] { parse_manifest_text(kManifest + no_date); }).code() == Code::input);
}

TEST_CASE("the_manual_documents_every_key_that_is_read_and_no_other", "[job]") {
  std::set<std::string> documented = documented_keys("job.toml");
  for (const char* table : {"target", "bundle", "device", "narrow"}) documented.erase(table);
  CHECK(documented == read_keys("runner/job.cpp"));
  documented = documented_keys("The signed job manifest");
  for (const char* table : {"budget", "model", "role", "order", "waiver", "health"}) documented.erase(table);
  documented.insert("model");  // a role's key as well
  CHECK(documented == read_keys("runner/job_manifest.cpp"));
}

TEST_CASE("the_manual_lists_every_exit_status", "[job]") {
  const std::string text = read_text_file(std::filesystem::path(GF_SOURCE_DIR) / "runner/JOB.md", 1 << 20);
  for (int status = 1; status < 64; ++status) {
    const std::string row =
        "| " + std::to_string(status) + " | " + std::string(code_name(static_cast<Code>(status))) + " |";
    const bool is_code = code_name(static_cast<Code>(status)) != "internal" || status == 1;
    CHECK((text.find(row) != std::string::npos) == is_code);
  }
}

}  // namespace gf
