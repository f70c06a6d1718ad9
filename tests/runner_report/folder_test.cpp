// A report on disk: written once, signed, and refused by name of what was changed.
#include "runner/report_folder.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "bundles/cms.h"
#include "bundles/pki.h"
#include "kernels/base/atomic_file.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"
#include "runner/journal.h"
#include "runner/launcher.h"
#include "runner/report.h"
#include "runner/report_verify.h"
#include "runner/signer.h"
#include "tests/runner_report/sample_run.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

using nlohmann::json;
using test::error_of;

namespace fs = std::filesystem;

constexpr std::array<const char*, 6> kFiles = {"journal.jsonl", "manifest.json", "manifest.json.p7s",
                                               "report.html",   "report.json",   "xccdf-results.xml"};
constexpr std::string_view kResults = "<TestResult/>\n";

// A PKI, a journal, and its signed report.
class Signed {
 public:
  explicit Signed(const test::SampleOptions& options = {.rules = 18}) {
    write_development_pki(pki(), system_time());
    const Journal journal = test::write_sample(folder_ / "state", "run-1", options);
    journal_ = journal.file();
    report_ = write_report({folder_ / "out", journal_, as_bytes(kResults)}, signer());
  }
  [[nodiscard]] SignManifest signer() const {
    return [this](std::string_view manifest) {
      return cms_sign_detached(as_bytes(manifest), pki() / "report.key", pki() / "report.pem",
                               {pki() / "intermediate.pem"});
    };
  }
  [[nodiscard]] fs::path pki() const { return folder_ / "pki"; }
  [[nodiscard]] fs::path output() const { return folder_ / "out"; }
  [[nodiscard]] const fs::path& report() const { return report_; }
  [[nodiscard]] const fs::path& journal() const { return journal_; }
  [[nodiscard]] ReportVerdict verify() const {
    const Trust trust = Trust::read(pki() / "trust.toml");
    return verify_report(report_, trust, system_time());
  }
  [[nodiscard]] std::string read(const char* name) const { return read_text_file(report_ / name, 1 << 26); }
  void write(const char* name, std::string_view text) const { write_atomically(report_ / name, text); }
  // A forger with the report key: the manifest follows whatever the files say now.
  void sign_again() const {
    json manifest = parse_json(read("manifest.json"), "manifest");
    for (json& file : manifest["files"]) {
      const std::string text = read(file.at("name").get<std::string>().c_str());
      file["size"] = text.size();
      file["sha384"] = sha384(text).hex();
    }
    write("manifest.json", canonical_json(manifest));
    write("manifest.json.p7s", as_text(signer()(canonical_json(manifest))));
  }

 private:
  test::TemporaryFolder folder_;
  fs::path journal_;
  fs::path report_;
};

std::string problems(const ReportVerdict& verdict) {
  std::string text;
  for (const ReportProblem& problem : verdict.problems) text += problem.file + ": " + problem.text + "\n";
  return text;
}

bool names(const ReportVerdict& verdict, const std::string& file) {
  for (const ReportProblem& problem : verdict.problems)
    if (problem.file.starts_with(file)) return true;
  return false;
}

TEST_CASE("a_report_as_written_holds") {
  const Signed made;
  const ReportVerdict verdict = made.verify();
  INFO(problems(verdict));
  CHECK(verdict.holds());
  CHECK(verdict.run_id == "run-1");
  CHECK(verdict.notes.empty());
  CHECK(fs::read_symlink(made.output() / "latest") == "run-1");
  CHECK(std::distance(fs::directory_iterator(made.output()), fs::directory_iterator()) == 2);  // nothing staged is left
}

TEST_CASE("one_bit_changed_anywhere_is_refused_by_the_files_name") {
  const Signed made;
  for (const char* name : kFiles) {
    const std::string good = made.read(name);
    const size_t step = std::max<size_t>(1, good.size() / 40);
    for (size_t at = 0; at < good.size(); at += step) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
      made.write(name, bad);
      INFO(name << " byte " << at);
      CHECK(names(made.verify(), std::string(name).starts_with("manifest") ? "manifest.json" : name));
    }
    made.write(name, good);
  }
  CHECK(made.verify().holds());
}

TEST_CASE("a_missing_and_an_extra_file_are_named") {
  const Signed made;
  for (const char* name : kFiles) {
    const std::string good = made.read(name);
    fs::remove(made.report() / name);
    const ReportVerdict verdict = made.verify();
    CHECK(names(verdict, name));
    CHECK(problems(verdict).find("missing") != std::string::npos);
    made.write(name, good);
  }
  made.write("evil\x1b.txt", "x");
  CHECK(names(made.verify(), "evil\x1b.txt"));
  fs::remove(made.report() / "evil\x1b.txt");
  fs::create_directory(made.report() / "more");
  CHECK(names(made.verify(), "more"));
}

TEST_CASE("a_link_is_not_taken_for_a_file") {
  const Signed made;
  fs::rename(made.report() / "report.json", made.output() / "elsewhere");
  fs::create_symlink("../elsewhere", made.report() / "report.json");
  CHECK(problems(made.verify()).find("report.json: is a link") != std::string::npos);
}

TEST_CASE("not_even_the_holder_of_the_key_can_make_page_and_journal_differ") {
  for (const char* name : {"report.html", "report.json"}) {
    const Signed made;
    std::string text = made.read(name);
    text.replace(text.find("fail"), 4, "pass");
    made.write(name, text);
    made.sign_again();
    CHECK(problems(made.verify()) ==
          std::string(name) + ": does not say what the journal says: it is not what this version makes of it\n");
  }
}

TEST_CASE("a_journal_cut_short_is_noticed_even_where_its_digest_was_signed_anew") {
  const Signed made;
  std::string text = made.read("journal.jsonl");
  text.resize(text.rfind('\n', text.size() - 2) + 1);
  made.write("journal.jsonl", text);
  made.sign_again();
  CHECK(problems(made.verify()).find("journal.jsonl: its last entry is not the one that the manifest names") !=
        std::string::npos);
}

TEST_CASE("results_of_another_scan_are_refused") {
  const Signed made;
  made.write("xccdf-results.xml", "<TestResult>other</TestResult>\n");
  made.sign_again();
  CHECK(names(made.verify(), "xccdf-results.xml"));
}

TEST_CASE("a_report_signed_under_another_anchor_is_not_trusted") {
  const Signed made;
  const Signed other;
  const Trust trust = Trust::read(other.pki() / "trust.toml");
  const ReportVerdict verdict = verify_report(made.report(), trust, system_time());
  REQUIRE(verdict.problems.size() == 1);
  CHECK(verdict.problems[0].code == Code::not_trusted);
}

TEST_CASE("a_manifest_in_another_form_is_refused_although_signed") {
  const Signed made;
  const std::string spaced = made.read("manifest.json") + "\n";
  made.write("manifest.json", spaced);
  made.write("manifest.json.p7s", as_text(made.signer()(spaced)));
  CHECK(problems(made.verify()).find("manifest.json: ") == 0);
}

TEST_CASE("no_report_is_ever_overwritten") {
  const Signed made;
  const std::string before = made.read("manifest.json.p7s");
  CHECK(error_of([&] { write_report({made.output(), made.journal(), {}}, made.signer()); }).code() == Code::io);
  CHECK(made.read("manifest.json.p7s") == before);
}

TEST_CASE("when_signing_fails_nothing_is_left_and_the_next_try_succeeds") {
  const Signed made;
  const fs::path output = made.output() / "second";
  const SignManifest failing = [](std::string_view) -> std::vector<std::byte> { throw Error(Code::io, "no key"); };
  CHECK(error_of([&] { write_report({output, made.journal(), {}}, failing); }).message() == "no key");
  CHECK(fs::is_empty(output));
  fs::create_directory(output / ".tmp-run-1");  // a run killed while it wrote
  write_atomically(output / ".tmp-run-1" / "report.json", "half");
  CHECK(fs::exists(write_report({output, made.journal(), as_bytes(kResults)}, made.signer()) / "report.json"));
  CHECK_FALSE(fs::exists(output / ".tmp-run-1"));
}

TEST_CASE("a_torn_last_line_is_left_out_of_the_report") {
  const Signed made;
  const fs::path output = made.output() / "second";
  std::string text = read_text_file(made.journal(), 1 << 26);
  text.resize(text.size() - 20);
  write_atomically(made.journal(), text);
  const fs::path report = write_report({output, made.journal(), as_bytes(kResults)}, made.signer());
  const Trust trust = Trust::read(made.pki() / "trust.toml");
  CHECK(verify_report(report, trust, system_time()).holds());
  CHECK(parse_json(read_text_file(report / "report.json", 1 << 26), "r").at("status") == "interrupted");
}

// The text of <pre id="commands"> as a person copies it.
std::string documented_commands(const std::string& page) {
  const std::string mark = "<pre id=\"commands\">";
  const size_t begin = page.find(mark) + mark.size();
  std::string text = page.substr(begin, page.find("</pre>", begin) - begin);
  for (const auto& [entity, plain] : {std::pair<std::string, std::string>{"&lt;", "<"},
                                      {"&gt;", ">"},
                                      {"&#39;", "'"},
                                      {"&quot;", "\""},
                                      {"&amp;", "&"}})
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at) text.replace(at, entity.size(), plain);
  return text;
}

TEST_CASE("the_commands_on_the_page_verify_the_report_with_stock_tools") {
  const Signed made;
  const std::string commands = documented_commands(made.read("report.html"));
  REQUIRE(commands.find("openssl cms -verify") == 0);
  fs::copy_file(made.pki() / "anchors" / "root.pem", made.report() / "anchor.pem");
  const std::string script = "cd '" + made.report().string() + "' && set -e -o pipefail\n" + commands;
  const auto run = [&] {
    write_atomically(made.pki() / "check.sh", script);
    return std::system(
        ("bash '" + (made.pki() / "check.sh").string() + "' > '" + (made.pki() / "out").string() + "' 2>&1").c_str());
  };
  CHECK(run() == 0);
  const std::string said = read_text_file(made.pki() / "out", 1 << 20);
  for (const char* name : {"journal.jsonl: OK", "report.html: OK", "report.json: OK", "xccdf-results.xml: OK"})
    CHECK(said.find(name) != std::string::npos);
  made.write("report.json", made.read("report.json") + " ");
  CHECK(run() != 0);
}

TEST_CASE("gf_report_ends_with_the_code_of_what_was_wrong_and_sends_no_controls") {
  const Signed made({.rules = 18, .hostile = true});
  const std::string out = (made.pki() / "out").string();
  const auto run = [&](const std::string& arguments) {
    const std::string program = std::string(GF_BIN_DIR) + "/gf-report ";
    return WEXITSTATUS(std::system((program + arguments + " > '" + out + "' 2>&1").c_str()));
  };
  const std::string verify =
      "verify '" + made.report().string() + "' --trust '" + (made.pki() / "trust.toml").string() + "'";
  CHECK(run(verify) == 0);
  CHECK(run("show '" + made.report().string() + "'") == 0);
  const std::string shown = read_text_file(out, 1 << 20);
  CHECK(printable(shown, Lines::keep) == shown);
  made.write("evil\x1b.txt", "x");
  CHECK(run(verify + " --json") == static_cast<int>(Code::corrupt));
  CHECK(parse_json(read_text_file(out, 1 << 20), "verdict").at("holds") == false);
  CHECK(run("verify") == static_cast<int>(Code::usage));
}

TEST_CASE("the_signer_is_a_child_of_the_launcher_and_its_errors_come_back") {
  const Signed made;
  static constexpr std::array<EntryPoint, 1> kEntries = {{{"signer", signer_main}}};
  const std::unique_ptr<Launcher> launcher = Launcher::start(kEntries);
  ReportKey key{made.pki() / "report.key", made.pki() / "report.pem", {made.pki() / "intermediate.pem"}};
  const fs::path output = made.output() / "second";
  const fs::path report = write_report({output, made.journal(), as_bytes(kResults)}, [&](std::string_view manifest) {
    return sign_in_child(*launcher, key, manifest);
  });
  const Trust trust = Trust::read(made.pki() / "trust.toml");
  CHECK(verify_report(report, trust, system_time()).holds());
  key.key = made.pki() / "missing.key";
  const Error error = error_of([&] { sign_in_child(*launcher, key, "{}"); });
  CHECK(std::string(error.what()).find("missing.key") != std::string::npos);
}

}  // namespace
}  // namespace gf
