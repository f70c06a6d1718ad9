// Evaluator: content read, roots evaluated, and what hostile content and hanging probes cost.
#include "runner/evaluator.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <thread>

#include "runner/content_reader.h"
#include "runner/oval_paths.h"
#include "tests/runner_eval/test_view.h"
#include "tests/support/catch.h"

using namespace gf;

namespace {

constexpr std::array kEntries = {EntryPoint{"view", test::view_main}, EntryPoint{Evaluator::kEntry, evaluator_main}};
constexpr const char* kSmall = "xccdf_test_profile_small";
const std::string kRule = "xccdf_test_rule_";

#define NEEDS_ROOT \
  if (::geteuid() != 0) GF_SKIP("needs root: evaluations enter namespaces and a root of their own")

std::unique_ptr<Evaluator> start(Launcher& launcher, const std::string& text, const std::string& profile) {
  const Fd content = sealed_memory("content", as_bytes(text));
  return Evaluator::start(launcher, content.get(), "test content", profile);
}

std::string data(const char* name) { return read_text_file(test::data_path("scap") / name, 1 << 20); }

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

// A folder with what the small check list reads.
class Root {
 public:
  Root() {
    for (const char* folder : {"etc/small.d", "srv/a/b", "dev", "proc", "sys", "run", "tmp", "usr/lib/rpm"})
      std::filesystem::create_directories(folder_ / folder);
    write("etc/issue", "Authorized users only\n");
    write("etc/small.d/one.conf", "setting = good\n");
    write("etc/secret", "x\n", 0600);
    write("etc/here", "");
  }
  void write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    const Fd file = open_file(folder_ / path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_all(file, as_bytes(text), path);
    REQUIRE(::chmod((folder_ / path).c_str(), mode) == 0);
  }
  [[nodiscard]] std::string path() const { return folder_.path().native(); }

 private:
  test::TemporaryFolder folder_;
};

std::map<std::string, std::string> words(const std::vector<RuleState>& states) {
  std::map<std::string, std::string> words;
  for (const RuleState& state : states) words[state.rule_id.substr(kRule.size())] = to_text(state.result);
  return words;
}

const RuleInfo& rule_of(const BenchmarkInfo& benchmark, const std::string& name) {
  for (const RuleInfo& rule : benchmark.rules)
    if (rule.id == kRule + name) return rule;
  throw Error(Code::internal, "no rule ", name);
}

}  // namespace

TEST_CASE("results_are_exactly_the_words_of_xccdf") {
  for (const XccdfResult result : kXccdfResults) CHECK(xccdf_result_from_text(to_text(result)) == result);
  for (const char* word : {"", "PASS", "Pass", "passed", "pas", "not_applicable", "fail ", "xpass"})
    CHECK_FALSE(xccdf_result_from_text(word));
}

TEST_CASE("xhtml_becomes_plain_text") {
  CHECK(plain_text("no  mark-up\n here") == "no mark-up here");
  CHECK(plain_text("a<br/>b") == "a\nb");
  CHECK(plain_text("<xhtml:p>one</xhtml:p><html:p>two &lt;3&gt; &amp; more</html:p>") == "one\ntwo <3> & more");
  CHECK(plain_text("<pre>  x\n  y</pre>z") == "x\n  y\nz");
  CHECK(plain_text("<ul><li>a</li><li>b</li></ul>") == "- a\n- b");
  CHECK(plain_text("broken <b>bold & more") == "broken bold more");
  CHECK(plain_text("") == "");
}

TEST_CASE("a_pattern_is_reduced_to_the_folder_or_file_that_it_begins_with") {
  CHECK(literal_start("^/etc/ssh/.*\\.conf$") == "/etc/ssh");
  CHECK(literal_start("^/etc/ssh/sshd_config$") == "/etc/ssh/sshd_config");
  CHECK(literal_start("^/etc/issue\\.net$") == "/etc/issue.net");
  CHECK(literal_start("^/etc/issue.net$") == "/etc");
  CHECK(literal_start("^/etc/issue") == "/etc");
  CHECK(literal_start("^\\/etc\\/audit\\/(rules|more)\\.d$") == "/etc/audit");
  CHECK(literal_start("^/etc/ab?$") == "/etc");
  CHECK(literal_start("^/etc/a$|^/usr/b$").empty());
  CHECK(literal_start("/etc/a").empty());
  CHECK(literal_start("^.*$").empty());
  CHECK(literal_start("^/$") == "/");
  CHECK(literal_start("").empty());
}

TEST_CASE("a_pattern_is_taken_apart_at_its_outer_alternatives", "[evaluator]") {
  CHECK(alternatives_of("/etc/a|^/usr/b$|(x|y)") == std::vector<std::string>{"^/etc/a", "^/usr/b$", "(x|y)"});
  CHECK(alternatives_of("a\\|b|[|]") == std::vector<std::string>{"a\\|b", "[|]"});
  CHECK(alternatives_of("") == std::vector<std::string>{""});
  CHECK(with_plain_dots("^/etc/pam.d/.*\\.conf.$") == "^/etc/pam\\.d/.*\\.conf.$");
}

TEST_CASE("the_check_list_that_has_the_profile_is_taken_and_its_rules_are_read") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  const BenchmarkInfo& benchmark = evaluator->benchmark();
  CHECK(benchmark.benchmark_id == "xccdf_test_benchmark_small");
  CHECK(benchmark.profile_title == "Small");
  CHECK(benchmark.content_title == "A small check list");
  CHECK(benchmark.version == "3.1");
  std::vector<std::string> ids;
  for (const RuleInfo& rule : benchmark.rules) ids.push_back(rule.id.substr(kRule.size()));
  // Neither the deselected ones nor the one that gives way to another.
  CHECK(ids ==
        std::vector<std::string>{"banner", "password", "password_pass", "mode", "elsewhere", "here", "manual", "walk"});

  const RuleInfo& banner = rule_of(benchmark, "banner");
  CHECK(banner.title == "The banner starts with the right word");
  CHECK(banner.severity == "medium");
  CHECK(banner.description == "The file /etc/issue must say Authorized.\nSecond line & more.");
  CHECK(banner.rationale == "It deters.");
  CHECK(banner.fix_text == "Write /etc/issue.");
  CHECK(banner.references == std::vector<std::string>{"CCE-12345-6", "RHEL-09-211020", "SV-257779r925324_rule"});
  CHECK(banner.stig_id == "RHEL-09-211020");
  CHECK(banner.sv_id == "SV-257779r925324_rule");
  CHECK(banner.read_paths == std::vector<std::string>{"/etc/issue"});
  CHECK_FALSE(banner.walks_file_system);
  REQUIRE(banner.bash_fix);
  CHECK(banner.bash_fix->script ==
        "\nword='Authorized'\n# a comment with <angle> brackets & more\necho \"$word\" > /etc/issue\n");
  CHECK(banner.bash_fix->disruption == "low");
  CHECK(banner.bash_fix->strategy == "configure");
  CHECK_FALSE(banner.bash_fix->reboot);

  // Without a reboot before with one, then the one of low disruption.
  CHECK(rule_of(benchmark, "password_pass").bash_fix->script == "echo b");
  CHECK(rule_of(benchmark, "password_pass").read_paths == std::vector<std::string>{"/etc/small.d"});
  CHECK(rule_of(benchmark, "password").read_paths == std::vector<std::string>{"/etc/small.d"});
  CHECK_FALSE(rule_of(benchmark, "password").bash_fix);
  CHECK(rule_of(benchmark, "mode").read_paths == std::vector<std::string>{"/etc/secret"});
  CHECK(rule_of(benchmark, "mode").severity == "unknown");
  CHECK(rule_of(benchmark, "manual").check_text == "Ask the administrator.");
  CHECK(rule_of(benchmark, "walk").walks_file_system);
}

TEST_CASE("benchmark_info_survives_the_way_between_processes") {
  BenchmarkInfo before;
  before.rules.resize(2);
  before.rules[0].id = "a";
  before.rules[0].bash_fix = RuleInfo::Fix{"f", "s", "x\n", "low", "high", "patch", true};
  before.rules[0].walks_file_system = true;
  before.version = "1";
  const auto after = nlohmann::json(before).get<BenchmarkInfo>();
  CHECK(nlohmann::json(after) == nlohmann::json(before));
  CHECK(after.rules[0].bash_fix->reboot);
  CHECK_FALSE(after.rules[1].bash_fix);
}

TEST_CASE("a_root_is_evaluated_whole_and_rule_by_rule_with_the_same_results") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root folder;
  folder.write("etc/small.d/two.conf", "setting = bad luck, not PASS\n");
  test::TestView root(*launcher, folder.path());
  std::vector<std::byte> document;
  const std::vector<RuleState> states = evaluator->scan(root.view(), &document);
  const std::map<std::string, std::string> expected = {{"banner", "pass"},
                                                       {"password", "pass"},
                                                       {"password_pass", "fail"},
                                                       {"mode", "pass"},
                                                       {"elsewhere", "notapplicable"},
                                                       {"here", "pass"},
                                                       {"manual", "notchecked"},
                                                       {"walk", "pass"}};
  CHECK(words(states) == expected);
  for (const RuleState& state : states) {
    INFO(state.rule_id);
    CHECK(evaluator->check(root.view(), {state.rule_id}).at(0).result == state.result);
    CHECK((state.result != XccdfResult::pass || state.evidence.empty()));
  }
  const std::string text(as_text(document));
  CHECK(text.find("<TestResult ") != std::string::npos);
  CHECK(text.find("\"http://checklists.nist.gov/xccdf/1.2\"") != std::string::npos);
  CHECK(text.find("idref=\"xccdf_test_rule_password_pass\"") != std::string::npos);
}

TEST_CASE("evidence_says_what_was_expected_and_found") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root folder;
  folder.write("etc/issue", "Hello\n");
  folder.write("etc/small.d/two.conf", "setting = bad \x1b[31m$6$saltsalt$" + std::string(86, 'h') + "\n");
  test::TestView root(*launcher, folder.path());
  const std::string banner = evaluator->check(root.view(), {kRule + "banner"}).at(0).evidence;
  CHECK(banner.find("the first word of the banner: false") != std::string::npos);
  CHECK(banner.find("expected: subexpression equals Authorized") != std::string::npos);
  CHECK(banner.find("subexpression = Hello") != std::string::npos);
  const std::string password = evaluator->check(root.view(), {kRule + "password_pass"}).at(0).evidence;
  CHECK(password.find("the bad setting is there: true (and must not be true)") != std::string::npos);
  CHECK(password.find("/etc/small.d/two.conf") != std::string::npos);
  CHECK(password.find("settings are there") == std::string::npos);
  CHECK(password.find("hhhhh") == std::string::npos);
}

TEST_CASE("evidence_of_huge_values_stays_small") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root folder;
  folder.write("etc/small.d/two.conf", "setting = bad " + std::string(100'000, 'x') + "\n");
  test::TestView root(*launcher, folder.path());
  const RuleState state = evaluator->check(root.view(), {kRule + "password_pass"}).at(0);
  CHECK(state.result == XccdfResult::fail);
  CHECK(state.evidence.size() <= 4096);
}

TEST_CASE("every_evaluation_sees_the_root_as_it_is_now") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root folder;
  test::TestView root(*launcher, folder.path());
  const auto check = [&](const char* rule) {
    return to_text(evaluator->check(root.view(), {kRule + rule}).at(0).result);
  };
  CHECK(check("banner") == "pass");
  root.write("/etc/issue", "Hello\n");
  CHECK(check("banner") == "fail");
  root.write("/etc/issue", "Authorized\n");
  CHECK(check("banner") == "pass");
  CHECK(check("mode") == "pass");
  root.write("/etc/secret", "x", 0644);
  CHECK(check("mode") == "fail");
  CHECK(check("elsewhere") == "notapplicable");
  root.write("/etc/elsewhere", "");
  CHECK(check("elsewhere") == "pass");
  CHECK(check("walk") == "pass");
  root.write("/srv/a/b/unwanted", "");
  CHECK(check("walk") == "fail");
}

TEST_CASE("rule_ids_are_matched_exactly") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root folder;
  folder.write("etc/small.d/two.conf", "setting = bad\n");
  test::TestView root(*launcher, folder.path());
  const std::vector<RuleState> both = evaluator->check(root.view(), {kRule + "password_pass", kRule + "password"});
  REQUIRE(both.size() == 2);
  CHECK(both[0].rule_id == kRule + "password_pass");
  CHECK(both[0].result == XccdfResult::fail);
  CHECK(both[1].rule_id == kRule + "password");
  CHECK(both[1].result == XccdfResult::pass);
  CHECK(evaluator->check(root.view(), {}).empty());
  for (const char* unknown : {"passwor", "password_", "unselected", "conflict", ""})
    CHECK(test::error_of([&] { evaluator->check(root.view(), {kRule + unknown}); }).code() == Code::evaluator);
}

TEST_CASE("several_roots_are_evaluated_at_once") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root good, bad;
  bad.write("etc/issue", "Hello\n");
  test::TestView first(*launcher, good.path());
  test::TestView second(*launcher, bad.path());
  std::array<std::string, 8> results;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < results.size(); ++i)
    threads.emplace_back([&, i] {
      const RootView& view = i % 2 == 0 ? first.view() : second.view();
      results[i] = to_text(evaluator->check(view, {kRule + "banner"}).at(0).result);
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < results.size(); ++i) CHECK(results[i] == (i % 2 == 0 ? "pass" : "fail"));
}

TEST_CASE("a_definition_that_extends_itself_costs_its_own_rule_only") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), "xccdf_test_profile_loop");
  Root folder;
  test::TestView root(*launcher, folder.path());
  const std::vector<RuleState> states = evaluator->scan(root.view());
  CHECK(words(states).at("loop") == "notchecked");
  CHECK(words(states).at("banner") == "pass");
  CHECK(states.size() == evaluator->benchmark().rules.size());
}

TEST_CASE("an_evaluation_that_takes_too_long_is_an_error_that_says_so") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("small-ds.xml"), kSmall);
  Root folder;
  test::TestView root(*launcher, folder.path());
  evaluator->set_time_limit(std::chrono::milliseconds(0));
  const RuleState state = evaluator->check(root.view(), {kRule + "banner"}).at(0);
  CHECK(state.result == XccdfResult::error);
  CHECK(state.evidence.find("timed out") != std::string::npos);
  std::vector<std::byte> document;
  for (const RuleState& one : evaluator->scan(root.view(), &document)) CHECK(one.result == XccdfResult::error);
  CHECK(document.empty());
  evaluator->set_time_limit(std::chrono::minutes(5));
  CHECK(evaluator->check(root.view(), {kRule + "banner"}).at(0).result == XccdfResult::pass);
}

TEST_CASE("an_unknown_profile_is_refused_with_those_there_are") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  for (const char* profile : {"xccdf_test_profile_smal", "", "small"}) {
    const Error error = test::error_of([&] { start(*launcher, data("small-ds.xml"), profile); });
    CHECK(error.code() == Code::evaluator);
    CHECK(error.message().find("xccdf_test_profile_small, xccdf_test_profile_loop") != std::string::npos);
    CHECK(error.message().find("xccdf_test_profile_other") != std::string::npos);
  }
}

TEST_CASE("content_that_is_not_scap_is_refused") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto code = [&](const std::string& text) {
    return test::error_of([&] { start(*launcher, text, kSmall); }).code();
  };
  CHECK(code("") == Code::input);
  CHECK(code("hello") == Code::input);
  CHECK(code("<html/>") == Code::input);
  CHECK(code("BZh91AY&SY") == Code::input);
  // A tailoring document names a file of its own choice.
  CHECK(code("<Tailoring xmlns='http://checklists.nist.gov/xccdf/1.2' id='xccdf_a_tailoring_b'>"
             "<benchmark href='/etc/passwd'/></Tailoring>") == Code::input);
  CHECK(code(data("small-ds.xml").substr(0, 9000)) == Code::evaluator);
  CHECK(code(replaced(data("small-ds.xml"), "<status>accepted</status>", "<status>maybe</status>")) != Code::internal);
}

TEST_CASE("document_types_and_so_entities_are_refused") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  for (const char* type :
       {"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>", "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">",
        "<!DOCTYPE x SYSTEM \"http://192.0.2.1/x.dtd\">"}) {
    const Error error = test::error_of(
        [&] { start(*launcher, replaced(data("small-ds.xml"), "?>\n", std::string("?>\n") + type), kSmall); });
    CHECK(error.code() == Code::input);
    CHECK(error.message().find("document type") != std::string::npos);
  }
}

TEST_CASE("deep_nesting_is_refused") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<x>";
  CHECK(test::error_of([&] {
          start(*launcher, replaced(data("small-ds.xml"), "<title>Main</title>", "<title>Main</title>" + deep), kSmall);
        }).code() == Code::evaluator);
}

TEST_CASE("a_manual_check_list_loads_and_its_rules_are_not_checked") {
  NEEDS_ROOT;
  const auto launcher = Launcher::start(kEntries);
  const auto evaluator = start(*launcher, data("disa-manual-xccdf.xml"), "MAC-1_Classified");
  REQUIRE(evaluator->benchmark().rules.size() == 1);
  const RuleInfo& rule = evaluator->benchmark().rules[0];
  CHECK(rule.stig_id == "RHEL-09-211010");
  CHECK(rule.sv_id == "SV-257777r991589_rule");
  CHECK(rule.check_text == "Look at /etc/redhat-release.");
  CHECK(rule.description.find("Old releases get no patches.") != std::string::npos);
  CHECK(rule.fix_text == "Upgrade.");
  CHECK_FALSE(rule.bash_fix);
  Root folder;
  test::TestView root(*launcher, folder.path());
  CHECK(evaluator->scan(root.view()).at(0).result == XccdfResult::notchecked);
}
