// The second judgement: what was really changed.
#include "policy/effects.h"
#include "policy/gate.h"
#include "tests/support/catch.h"

using gf::ApprovedChanges;
using gf::Change;
using gf::ChangeSet;
using gf::FileState;
using gf::FileType;
using gf::Gate;
using gf::Origin;
using gf::Policy;
using gf::Refusal;

namespace {

Policy policy(std::string_view text) { return Policy::parse(text, "policy.toml", "/"); }

FileState file(uint32_t mode = 0644, FileType type = FileType::regular) { return {.type = type, .mode = mode}; }

Change modified(std::string path, uint32_t before = 0644, uint32_t after = 0644) {
  return {.path = std::move(path), .before = file(before), .after = file(after), .content_changed = true};
}
Change created(std::string path, uint32_t mode = 0644, FileType type = FileType::regular) {
  return {.path = std::move(path), .before = {}, .after = file(mode, type), .content_changed = true};
}
Change deleted(std::string path) {
  return {.path = std::move(path), .before = file(), .after = {}, .content_changed = true};
}
Change chmodded(std::string path, uint32_t before, uint32_t after) {
  return {.path = std::move(path), .before = file(before), .after = file(after), .metadata_changed = true};
}

ChangeSet set_of(std::vector<Change> changes, std::string rule = "banner_etc_issue", Origin origin = Origin::vetted) {
  ChangeSet set;
  set.rule_id = std::move(rule);
  set.origin = origin;
  // Everything is named unless a test says otherwise, so that only the effect counts.
  for (const Change& change : changes) set.named_paths.push_back(change.path);
  set.changes = std::move(changes);
  return set;
}

std::string refused_by(const ChangeSet& set, std::string_view host = "",
                       std::vector<std::string> protected_paths = {}) {
  const Gate gate(policy(host), Policy::none(), std::move(protected_paths));
  const auto verdict = gate.approve(set);
  const auto* refusal = std::get_if<Refusal>(&verdict);
  return refusal == nullptr ? "" : refusal->rule;
}
std::string refused_by(Change change, std::string_view host = "") {
  return refused_by(set_of({std::move(change)}), host);
}

std::string grant(std::string_view of_class, std::string_view more = "") {
  return "[[grant]]\nclass='" + std::string(of_class) + "'\nrules=['banner_etc_issue']\n" + std::string(more);
}

ChangeSet passwd_set(std::string before, std::string after) {
  ChangeSet set = set_of({modified("/etc/passwd")});
  set.changes[0].after.size = after.size();
  set.read_after = [after](const std::string&, size_t limit) { return after.substr(0, limit); };
  set.read_before = [before](const std::string&, size_t limit) { return before.substr(0, limit); };
  return set;
}

}  // namespace

TEST_CASE("a_named_change_without_effects_is_approved") {
  const Gate gate(policy(""), Policy::none(), {});
  const auto verdict = gate.approve(set_of({modified("/etc/issue")}));
  REQUIRE(std::holds_alternative<ApprovedChanges>(verdict));
  CHECK(std::get<ApprovedChanges>(verdict).changes().changes.front().path == "/etc/issue");
}

TEST_CASE("each_class_of_effect_is_refused_without_a_grant_and_passes_with_one") {
  FileState capable = file(0755);
  capable.xattrs["security.capability"] = "x";
  const std::pair<const char*, Change> kCases[] = {
      {"setuid", chmodded("/etc/x", 0755, 04755)},
      {"setuid", created("/etc/x", 04755)},
      {"setgid", chmodded("/etc/x", 0755, 02755)},
      {"file_capabilities", {.path = "/etc/x", .before = file(0755), .after = capable, .metadata_changed = true}},
      {"ld_so_preload", created("/etc/ld.so.preload")},
      {"ld_so_preload", modified("/etc/ld.so.conf.d/a.conf")},
      {"authorized_keys", modified("/root/.ssh/authorized_keys")},
      {"authorized_keys", created("/home/a/.ssh/authorized_keys2")},
      {"authorized_keys", deleted("/home/a/.ssh/authorized_keys")},
      {"authorized_keys", created("/home/a/.rhosts")},
      {"cron", created("/etc/cron.d/x")},
      {"cron", modified("/etc/crontab")},
      {"cron", created("/var/spool/cron/root")},
      {"systemd_units", created("/etc/systemd/system/x.service")},
      {"systemd_units", created("/lib/systemd/system/x.service")},
      {"systemd_units", created("/etc/systemd/system-generators/x")},
      {"systemd_units", created("/etc/systemd/system/a.wants/b.service", 0777, FileType::symlink)},
      {"systemd_units", created("/home/a/.config/systemd/user/x.service")},
      {"systemd_units", created("/etc/udev/rules.d/1.rules")},
      {"device_node", created("/etc/x", 0600, FileType::block_device)},
      {"device_node", created("/etc/x", 0600, FileType::character_device)},
  };
  for (const auto& [name, change] : kCases) {
    CAPTURE(name, change.path);
    CHECK(refused_by(change) == std::string("effect:") + name);
    CHECK(refused_by(change, grant(name)) == "");
    CHECK(refused_by(change, grant(name, "paths=['/nowhere/**']")) == std::string("effect:") + name);
    ChangeSet of_model = set_of({change}, "banner_etc_issue", Origin::model);
    CHECK(refused_by(of_model, grant(name)) == std::string("effect:") + name);
    CHECK(refused_by(set_of({change}, "banner_etc_issue_net"), grant(name)) == std::string("effect:") + name);
  }
}

TEST_CASE("sudoers_needs_its_guard_and_its_effect") {
  CHECK(refused_by(created("/etc/sudoers.d/x"), grant("sudo")) == "effect:sudoers");
  CHECK(refused_by(created("/etc/sudoers.d/x"), grant("sudoers")) == "guard:sudo");
  CHECK(refused_by(created("/etc/sudoers.d/x"), grant("sudoers") + grant("sudo")) == "");
}

TEST_CASE("a_program_is_not_replaced_because_a_rule_names_it") {
  CHECK(refused_by(modified("/usr/bin/sudo", 04755, 04755)) == "effect:setuid");
  CHECK(refused_by(modified("/usr/bin/ls", 0755, 0755)) == "effect:system_program");
  CHECK(refused_by(created("/sbin/x", 0755)) == "effect:system_program");
  CHECK(refused_by(created("/usr/lib64/security/pam_x.so")) == "effect:system_program");
  CHECK(refused_by(chmodded("/usr/bin/ls", 0777, 0755)) == "");
  CHECK(refused_by(created("/usr/lib/systemd/system-generators/x"), grant("systemd_units")) == "effect:system_program");
  CHECK(refused_by(deleted("/usr/bin/tftp")) == "");
  CHECK(refused_by(modified("/usr/lib/sysctl.d/50-default.conf")) == "");
}

TEST_CASE("taking_setuid_away_needs_no_grant") {
  CHECK(refused_by(chmodded("/usr/bin/x", 04755, 0755)) == "");
  CHECK(refused_by(chmodded("/usr/bin/x", 04755, 04711)) == "");
  Change given = chmodded("/usr/bin/x", 04755, 04755);
  given.before.uid = 5;  // setuid somebody became setuid root
  CHECK(refused_by(given) == "effect:setuid");
}

TEST_CASE("tightening_a_guarded_place_needs_no_grant_and_opening_it_does") {
  CHECK(refused_by(chmodded("/etc/cron.d", 0755, 0700)) == "");
  CHECK(refused_by(chmodded("/etc/cron.d/x", 0644, 0600)) == "");
  CHECK(refused_by(chmodded("/etc/cron.d/x", 0644, 0666)) == "effect:cron");
  CHECK(refused_by(chmodded("/etc/ssh/sshd_config", 0644, 0600)) == "");
  Change given = chmodded("/etc/cron.d/x", 0644, 0644);
  given.after.uid = 1000;
  CHECK(refused_by(given) == "effect:cron");
  Change labelled = chmodded("/etc/ssh/sshd_config", 0644, 0644);
  labelled.after.xattrs["system.posix_acl_access"] = "x";
  CHECK(refused_by(labelled) == "guard:sshd");
}

TEST_CASE("changed_files_are_guarded_whatever_the_script_looked_like") {
  CHECK(refused_by(modified("/etc/ssh/sshd_config")) == "guard:sshd");
  CHECK(refused_by(created("/etc/pam.d/x")) == "guard:pam");
  CHECK(refused_by(modified("/etc/fstab")) == "guard:mount_options");
  CHECK(refused_by(modified("/etc/shadow")) == "guard:accounts");
  CHECK(refused_by(deleted("/etc/crypto-policies/config")) == "guard:crypto_policy");
  CHECK(refused_by(modified("/etc/ssh/sshd_config"), grant("sshd")) == "");
}

TEST_CASE("a_new_account_with_uid_0_is_found_however_it_is_written") {
  const std::string root = "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1::/:/sbin/nologin\n";
  const std::string granted = grant("accounts");
  CHECK(refused_by(passwd_set(root, root + "a:x:1000:1000::/home/a:/bin/sh\n"), granted) == "");
  for (const char* line : {"toor:x:0:0::/:/bin/sh\n", "toor:x:00:0::/:/bin/sh", "toor:x: 0:0::/:/bin/sh\n",
                           "toor:x:+0:0::/:/bin/sh\n", "toor:x:-0:0::/:/bin/sh\n", "toor:x::0::/:/bin/sh\n",
                           "toor::0:0::/:/bin/sh\n", "toor:x:0x0:0::/:/bin/sh\n", "toor:x:4294967296:0::/:/bin/sh\n",
                           " toor:x:0:0::/:/bin/sh\n", "toor:x:0", "root::0:0:root:/root:/bin/bash\n"}) {
    CAPTURE(line);
    CHECK(refused_by(passwd_set(root, root + line), granted) == "effect:uid0_account");
    CHECK(refused_by(passwd_set(root, root + line), granted + grant("uid0_account")) == "");
  }
  CHECK(refused_by(passwd_set(root + "toor:x:0:0::/:/bin/sh\n", root), granted) == "");
  CHECK(refused_by(passwd_set(root + "toor:x:0:0::/:/bin/sh\n", root + "toor:x:0:0::/:/bin/sh\na:x:5:5:::\n"),
                   granted) == "");
}

TEST_CASE("accounts_that_cannot_be_read_are_not_committed") {
  ChangeSet blind = passwd_set("", "root:x:0:0:::\n");
  blind.read_after = nullptr;
  CHECK(refused_by(blind, grant("accounts")) == "effect:uid0_account");
  ChangeSet cut = passwd_set("", "root:x:0:0:::\n");
  cut.changes[0].after.size = 5000;
  CHECK(refused_by(cut, grant("accounts")) == "effect:uid0_account");
  ChangeSet link = set_of({created("/etc/passwd", 0777, FileType::symlink)});
  CHECK(refused_by(link, grant("accounts")) == "effect:uid0_account");
  // Without the old file only root itself is taken for granted.
  ChangeSet new_file = passwd_set("", "root:x:0:0:::\ntoor:x:0:0:::\n");
  new_file.read_before = nullptr;
  CHECK(refused_by(new_file, grant("accounts")) == "effect:uid0_account");
}

TEST_CASE("unnamed_paths_need_a_grant_for_that_path") {
  ChangeSet set = set_of({modified("/etc/other")});
  set.named_paths = {"/etc/issue"};
  CHECK(refused_by(set) == "effect:unnamed_path");
  CHECK(refused_by(set, grant("unnamed_path", "paths=['/etc/o*']")) == "");
  CHECK(refused_by(set, grant("unnamed_path", "paths=['/srv/**']")) == "effect:unnamed_path");
  set.changes = {chmodded("/srv/x", 0666, 0644)};
  CHECK(refused_by(set) == "effect:unnamed_tightening");
  CHECK(refused_by(set, grant("unnamed_tightening", "paths=['/**']")) == "");
  CHECK(refused_by(set, grant("unnamed_path", "paths=['/**']")) == "");
  set.changes = {modified("/srv/x")};
  CHECK(refused_by(set, grant("unnamed_tightening", "paths=['/**']")) == "effect:unnamed_path");
}

TEST_CASE("folders_on_the_way_to_a_named_file_are_part_of_it") {
  ChangeSet set = set_of({created("/etc/dconf", 0755, FileType::directory),
                          created("/etc/dconf/db", 0755, FileType::directory), created("/etc/dconf/db/x")});
  set.named_paths = {"/etc/dconf/db/x"};
  CHECK(refused_by(set) == "");
  set.changes[1].after.mode = 0777;
  CHECK(refused_by(set) == "effect:unnamed_path");
}

TEST_CASE("own_files_are_never_committed_whatever_is_granted") {
  std::string everything;
  for (const char* of_class : {"setuid", "setgid", "systemd_units", "system_program", "cron", "sudoers", "sudo"})
    everything += grant(of_class);
  everything += grant("unnamed_path", "paths=['/**']");
  const std::vector<std::string> own = {"/opt/agent/state", "/etc/agent.toml", "/root/keys/report.key"};
  for (const char* path :
       {"/usr/bin/gf-run", "/etc/gf-run/policy.toml", "/var/lib/gf-run/journal", "/etc/systemd/system/gf-run.service",
        "/etc/systemd/system/gf-run.service.d/x.conf", "/etc/systemd/system/gf-run@1.service", "/opt/agent/state",
        "/opt/agent/state/deep/file", "/etc/agent.toml", "/root/keys/report.key"}) {
    CAPTURE(path);
    CHECK(refused_by(set_of({modified(path)}), everything, own) == "protected-path");
    CHECK(refused_by(set_of({deleted(path)}), everything, own) == "protected-path");
    CHECK(refused_by(set_of({chmodded(path, 0644, 0600)}), everything, own) == "protected-path");
  }
  CHECK(refused_by(set_of({modified("/opt/agent/status")}), everything, own) == "");
  CHECK(refused_by(set_of({modified("/etc/gf-running")}), everything, own) == "");
}

TEST_CASE("folders_above_own_files_are_not_removed_replaced_or_opened") {
  const std::vector<std::string> own = {"/opt/agent/state"};
  const std::string all = grant("unnamed_path", "paths=['/**']");
  Change folder = chmodded("/opt/agent", 0755, 0777);
  folder.before.type = folder.after.type = FileType::directory;
  CHECK(refused_by(set_of({folder}), all, own) == "protected-path");
  folder.after.mode = 0700;
  CHECK(refused_by(set_of({folder}), all, own) == "");
  folder.after.uid = 1000;
  CHECK(refused_by(set_of({folder}), all, own) == "protected-path");
  folder.after = {.type = FileType::symlink};
  CHECK(refused_by(set_of({folder}), all, own) == "protected-path");
  CHECK(refused_by(set_of({deleted("/opt")}), all, own) == "protected-path");
}

TEST_CASE("protected_paths_of_either_policy_hold") {
  const ChangeSet set = set_of({modified("/srv/data/x")});
  const Gate gate(policy(""), policy("protected_paths=['/srv/data/*']"), {});
  CHECK(std::get<Refusal>(gate.approve(set)).rule == "protected-path");
}

TEST_CASE("other_spellings_of_a_path_are_refused") {
  for (const char* path : {"etc/x", "", "/", "/etc/", "/etc//x", "/etc/../x", "/etc/./x", "/etc/.."}) {
    CAPTURE(path);
    CHECK(refused_by(modified(path)) == "path");
  }
}

TEST_CASE("one_bad_change_among_many_refuses_the_whole_set") {
  std::vector<Change> changes;
  for (int i = 0; i < 300; ++i) changes.push_back(modified("/etc/x/" + std::to_string(i)));
  CHECK(refused_by(set_of(changes)) == "");
  changes[299] = created("/etc/ld.so.preload");
  CHECK(refused_by(set_of(changes)) == "effect:ld_so_preload");
  CHECK(refused_by(set_of(changes), "changed_files=299") == "changed-files");
}

TEST_CASE("both_policies_must_grant_an_effect") {
  const ChangeSet set = set_of({created("/etc/cron.d/x")});
  const auto rule = [&](std::string_view host, std::string_view carried) {
    const auto verdict = Gate(policy(host), policy(carried), {}).approve(set);
    const auto* refusal = std::get_if<Refusal>(&verdict);
    return refusal == nullptr ? std::string() : refusal->rule;
  };
  CHECK(rule(grant("cron"), grant("cron")) == "");
  CHECK(rule(grant("cron"), "") == "effect:cron");
  CHECK(rule("", grant("cron")) == "effect:cron");
}

TEST_CASE("access_checks_come_from_the_rule_and_from_the_files") {
  const Gate gate(policy(""), Policy::none(), {});
  CHECK(gate.access_checks(set_of({modified("/etc/issue")})).empty());
  CHECK(gate.access_checks(set_of({modified("/etc/issue")}, "sshd_x")).size() == 1);
  const auto checks = gate.access_checks(
      set_of({modified("/etc/ssh/sshd_config"), modified("/etc/sudoers"), modified("/etc/crypto-policies/config")}));
  // sshd and crypto_policy share one.
  REQUIRE(checks.size() == 2);
  CHECK(checks[0].needs == "/usr/sbin/sshd");
  CHECK(checks[1].argv == std::vector<std::string>{"/usr/sbin/visudo", "-c"});
}
