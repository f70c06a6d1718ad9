// policy.toml is read strictly, and POLICY.md documents exactly what the reader accepts.
#include "policy/policy.h"

#include <cstdlib>
#include <map>
#include <regex>
#include <set>

#include "kernels/base/atomic_file.h"
#include "kernels/base/fd.h"
#include "policy/builtin_rules.h"
#include "policy/command_files.h"
#include "policy/effects.h"
#include "tests/support/catch.h"

using gf::Code;
using gf::Origin;
using gf::Policy;
using gf::test::error_of;

namespace {

Policy parse(std::string_view text) { return Policy::parse(text, "policy.toml", "/etc/gf-run"); }

std::string source(const char* name) {
  return gf::read_text_file(std::filesystem::path(GF_SOURCE_DIR) / name, 1 << 20);
}

// The first cell of every row of the key table.
std::set<std::string> documented_keys() {
  std::set<std::string> keys;
  const std::string text = source("policy/POLICY.md");
  const size_t start = text.find("## Keys"), end = text.find("\n## ", start + 1);
  const std::string part = text.substr(start, end - start);
  const std::regex row("\n\\| `([a-z_.]+)` \\|");
  for (std::sregex_iterator it(part.begin(), part.end(), row), none; it != none; ++it) keys.insert((*it)[1]);
  return keys;
}

// A policy that uses one key, besides what its table needs.
std::string example_of(const std::string& key) {
  static const std::string kGrant = "[[grant]]\nclass='sshd'\nrules=['*']\n";
  static const std::map<std::string, std::string> kExamples = {
      {"version", "version=1"},
      {"modes", "modes=['scan']"},
      {"origins", "origins=['vetted']"},
      {"interpreters", "interpreters=['/bin/sh']"},
      {"script_bytes", "script_bytes=5"},
      {"changed_files", "changed_files=5"},
      {"protected_paths", "protected_paths=['/srv/**']"},
      {"deny_without", "deny_without=['eval']"},
      {"limits.seconds", "[limits]\nseconds=5"},
      {"limits.output_bytes", "[limits]\noutput_bytes=4096"},
      {"limits.memory_bytes", "[limits]\nmemory_bytes=100000000"},
      {"limits.file_bytes", "[limits]\nfile_bytes=5000"},
      {"limits.processes", "[limits]\nprocesses=20"},
      {"deny_pattern.name", "[[deny_pattern]]\nname='a'\npattern='b'"},
      {"deny_pattern.pattern", "[[deny_pattern]]\nname='a'\npattern='b'"},
      {"deny_pattern.applies_to", "[[deny_pattern]]\nname='a'\npattern='b'\napplies_to='all'"},
      {"guard.class", "[[guard]]\nclass='kerberos'"},
      {"guard.rule_words", "[[guard]]\nclass='kerberos'\nrule_words=['krb']"},
      {"guard.scripts", "[[guard]]\nclass='kerberos'\nscripts=['kinit']"},
      {"guard.paths", "[[guard]]\nclass='kerberos'\npaths=['/etc/krb5.conf']"},
      {"check.class", "[[check]]\nclass='sshd'\nargv=['/bin/true']"},
      {"check.needs", "[[check]]\nclass='sshd'\nargv=['/bin/true']\nneeds='/bin/true'"},
      {"check.argv", "[[check]]\nclass='sshd'\nargv=['/bin/true']"},
      {"grant.class", kGrant},
      {"grant.rules", kGrant},
      {"grant.origins", kGrant + "origins=['model']"},
      {"grant.paths", kGrant + "paths=['/etc/**']"},
      {"grant.reason", kGrant + "reason='because'"},
  };
  const auto found = kExamples.find(key);
  return found == kExamples.end() ? "" : found->second;
}

}  // namespace

TEST_CASE("every_documented_key_is_accepted") {
  CHECK(documented_keys().size() == 28);
  for (const std::string& key : documented_keys()) {
    CAPTURE(key);
    REQUIRE(!example_of(key).empty());
    CHECK_NOTHROW(parse(example_of(key)));
  }
}

TEST_CASE("every_key_that_the_reader_takes_is_documented") {
  // The reader's calls name their keys; the last part of a documented key must be among them, and
  // the other way round.
  const std::string text = source("policy/policy.cpp");
  const std::regex method(
      "\\.(?:string|strings|choice|integer|tables|optional_table)(?:_or|_or_none)?\\(\\s*\"([a-z_]+)\"|"
      "absolute_paths\\((?:file|table), \"([a-z_]+)\"");
  std::set<std::string> taken, documented;
  for (std::sregex_iterator it(text.begin(), text.end(), method), none; it != none; ++it) {
    taken.insert((*it)[1].matched ? (*it)[1] : (*it)[2]);
  }
  for (const std::string& key : documented_keys()) {
    documented.insert(key.substr(key.find('.') + 1));
    documented.insert(key.substr(0, key.find('.')));
  }
  CHECK(taken == documented);
}

TEST_CASE("unknown_keys_are_refused_with_line_and_column") {
  for (const char* text : {"colour='red'", "[limits]\nhours=1", "[[grant]]\nclass='sshd'\nrules=['*']\nrule='x'",
                           "[[deny_pattern]]\nname='a'\npattern='b'\nicase=true",
                           "[[check]]\nclass='sshd'\nargv=['/b']\nx=1", "[[guard]]\nclass='a'\nx=1"}) {
    CAPTURE(text);
    const gf::Error error = error_of([&] { parse(text); });
    CHECK(error.code() == Code::input);
    CHECK(std::regex_search(error.message(), std::regex("policy\\.toml:[0-9]+:[0-9]+")));
  }
}

TEST_CASE("values_that_make_no_sense_are_refused") {
  for (const char* text : {"modes=['look']",
                           "origins=['me']",
                           "modes='apply'",
                           "version=2",
                           "script_bytes=0",
                           "script_bytes='5'",
                           "interpreters=['bash']",
                           "protected_paths=['etc']",
                           "protected_paths=['/etc/../root']",
                           "deny_without=['nothing']",
                           "[limits]\nseconds=0",
                           "[[deny_pattern]]\nname='a'\npattern='('",
                           "[[deny_pattern]]\nname='a'\npattern=''",
                           "[[deny_pattern]]\nname=''\npattern='a'",
                           "[[deny_pattern]]\nname='a'\npattern='(a{999}){99}'",
                           "[[deny_pattern]]\nname='a'\npattern='b'\napplies_to='vetted'",
                           "[[grant]]\nclass='nothing'\nrules=['*']",
                           "[[grant]]\nclass='sshd'",
                           "[[grant]]\nclass='sshd'\nrules=[]",
                           "[[grant]]\nclass='sshd'\nrules=['*']\norigins=[]",
                           "[[grant]]\nclass='unnamed_path'\nrules=['*']",
                           "[[grant]]\nclass='unnamed_tightening'\nrules=['*']",
                           "[[grant]]\nclass='protected_path'\nrules=['*']",
                           "[[check]]\nclass='sshd'\nargv=[]",
                           "[[check]]\nclass='sshd'\nargv=['sshd', '-t']",
                           "[[check]]\nclass='setuid'\nargv=['/bin/true']",
                           "[[guard]]\nclass='setuid'\npaths=['/a']",
                           "[[guard]]\nclass=''"}) {
    CAPTURE(text);
    CHECK(error_of([&] { parse(text); }).code() == Code::input);
  }
}

TEST_CASE("an_empty_policy_grants_nothing") {
  const Policy policy = parse("");
  CHECK(policy.grants.empty());
  CHECK(!policy.grants_class("sshd", "r", Origin::vetted));
  CHECK(policy.guards.size() == gf::builtin_guards().size());
}

TEST_CASE("a_grant_is_for_whole_rule_ids_and_the_vendor_unless_it_says_more") {
  const Policy policy =
      parse("[[grant]]\nclass='sudo'\nrules=['r_sudo']\n[[grant]]\nclass='pam'\nrules=['*']\norigins=['model']");
  CHECK(policy.grants_class("sudo", "r_sudo", Origin::vetted));
  CHECK(!policy.grants_class("sudo", "r_sudo", Origin::model));
  CHECK(!policy.grants_class("sudo", "r_sudo_nopasswd", Origin::vetted));
  CHECK(!policy.grants_class("sudo", "r_sud", Origin::vetted));
  CHECK(!policy.grants_class("sshd", "r_sudo", Origin::vetted));
  CHECK(policy.grants_class("pam", "anything", Origin::model));
  CHECK(!policy.grants_class("pam", "anything", Origin::vetted));
}

TEST_CASE("a_policy_can_widen_guards_and_never_remove_them") {
  const Policy policy =
      parse("[[guard]]\nclass='sshd'\npaths=['/etc/dropbear/**']\n[[guard]]\nclass='kerberos'\nrule_words=['krb']");
  CHECK(policy.guards.size() == gf::builtin_guards().size() + 1);
  CHECK(policy.guards.front().name == "sshd");
  CHECK(policy.guards.front().paths.back() == "/etc/dropbear/**");
  CHECK(policy.guards.front().paths.front() == "/etc/ssh/sshd_config");
}

TEST_CASE("the_first_check_of_a_class_replaces_the_built_in_ones") {
  const Policy policy = parse("[[check]]\nclass='sshd'\nargv=['/a']\n[[check]]\nclass='sshd'\nargv=['/b']\nneeds='/b'");
  REQUIRE(policy.guards.front().checks.size() == 2);
  CHECK(policy.guards.front().checks[1].argv == std::vector<std::string>{"/b"});
}

TEST_CASE("the_example_policy_grants_every_guard_to_both_origins") {
  const Policy policy = Policy::read(std::filesystem::path(GF_SOURCE_DIR) / "policy/example-policy.toml");
  for (const gf::Guard& guard : policy.guards) {
    CAPTURE(guard.name);
    CHECK(policy.grants_class(guard.name, "any", Origin::vetted));
    CHECK(policy.grants_class(guard.name, "any", Origin::model));
    CHECK(!guard.checks.empty());
  }
  for (const char* effect :
       {"setuid", "ld_so_preload", "authorized_keys", "uid0_account", "device_node", "system_program"}) {
    CHECK(!policy.grants_class(effect, "any", Origin::vetted));
  }
}

TEST_CASE("the_manual_lists_all_patterns_guards_effects_and_commands") {
  const std::string manual = source("policy/POLICY.md");
  const auto lists = [&](std::string_view word) {
    return manual.find("`" + std::string(word) + "`") != std::string::npos;
  };
  for (const gf::DenyPattern& deny : gf::builtin_deny_patterns()) {
    CAPTURE(deny.name);
    CHECK(lists(deny.name));
  }
  for (const gf::Guard& guard : gf::builtin_guards()) {
    CAPTURE(guard.name);
    CHECK(lists(guard.name));
  }
  for (const gf::CommandFiles& entry : gf::command_files()) {
    CAPTURE(std::string(entry.command));
    CHECK(lists(entry.command));
    for (const std::string_view path : entry.paths) CHECK(lists(path));
  }
  for (const char* effect :
       {"setuid", "setgid", "file_capabilities", "ld_so_preload", "authorized_keys", "sudoers", "cron", "systemd_units",
        "uid0_account", "device_node", "system_program", "unnamed_path", "unnamed_tightening"}) {
    CHECK(gf::is_effect_class(effect));
    CHECK(lists(effect));
  }
}

TEST_CASE("a_check_whose_program_is_missing_is_not_available_and_not_passed") {
  using Outcome = gf::AccessCheck::Outcome;
  const gf::AccessCheck absent{"sshd", "/nonexistent/sshd", {"/bin/true"}};
  CHECK(absent.command().front() == "/bin/sh");
  CHECK(gf::AccessCheck::outcome(213) == Outcome::not_available);
  CHECK(gf::AccessCheck::outcome(127) == Outcome::failed);
  CHECK(gf::AccessCheck::outcome(0) == Outcome::passed);
  CHECK(gf::access_still_works(Outcome::failed, Outcome::passed));
  CHECK(gf::access_still_works(Outcome::not_available, Outcome::not_available));
  CHECK(!gf::access_still_works(Outcome::passed, Outcome::not_available));
  CHECK(!gf::access_still_works(Outcome::passed, Outcome::failed));
  CHECK(!gf::access_still_works(Outcome::failed, Outcome::failed));
}

TEST_CASE("built_in_checks_are_well_formed_shell") {
  for (const gf::Guard& guard : gf::builtin_guards()) {
    for (const gf::AccessCheck& check : guard.checks) {
      if (check.argv.front() != "/bin/sh") continue;
      const gf::test::TemporaryFolder folder;
      gf::write_atomically(folder / "check", check.argv.at(2));
      CAPTURE(guard.name);
      CHECK(std::system(("/bin/sh -n " + (folder / "check").string()).c_str()) == 0);
    }
  }
}
