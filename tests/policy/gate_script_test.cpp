// The first judgement: what is asked.
#include <regex>

#include "kernels/base/fd.h"
#include "policy/gate.h"
#include "tests/support/catch.h"

using gf::ApprovedScript;
using gf::Gate;
using gf::Mode;
using gf::Origin;
using gf::Policy;
using gf::Proposal;
using gf::Refusal;

namespace {

constexpr const char* kRule = "xccdf_org.ssgproject.content_rule_banner_etc_issue";

Policy policy(std::string_view text) { return Policy::parse(text, "policy.toml", "/"); }
Gate gate(std::string_view host = "", Policy signed_policy = Policy::none(), Mode mode = Mode::apply) {
  return {policy(host), std::move(signed_policy), {}, mode};
}
Proposal proposal(std::string script, Origin origin = Origin::model, std::string rule = kRule) {
  return {std::move(rule), origin, "bash", std::move(script), {}};
}
// The name of the rule that refused, "" if none did.
std::string refused_by(const Gate& gate, const Proposal& asked) {
  const auto verdict = gate.approve(asked);
  const auto* refusal = std::get_if<Refusal>(&verdict);
  return refusal == nullptr ? "" : refusal->rule;
}

}  // namespace

TEST_CASE("an_ordinary_fix_is_approved_with_its_interpreters_path") {
  const auto verdict = gate().approve(proposal("echo 'Authorized users only' > /etc/issue\nchmod 0644 /etc/issue\n"));
  REQUIRE(std::holds_alternative<ApprovedScript>(verdict));
  CHECK(std::get<ApprovedScript>(verdict).interpreter() == "/bin/bash");
  CHECK(std::get<ApprovedScript>(verdict).rule_id() == kRule);
}

TEST_CASE("each_built_in_deny_pattern_refuses_its_case_by_name") {
  const std::pair<const char*, const char*> kCases[] = {
      {"network-fetch", "x=1; curl -o /tmp/x http://h/x"},
      {"network-fetch", "cat < /dev/tcp/10.0.0.1/80"},
      {"network-fetch", "if true; then /usr/bin/wget h; fi"},
      {"package-from-network", "pip3 install x"},
      {"package-from-network", "dnf install -y https://h/x.rpm"},
      {"pipe-to-shell", "cat /tmp/x | sh"},
      {"pipe-to-shell", "cat /tmp/x | sudo /bin/bash -s"},
      {"pipe-to-shell", "bash <(cat /tmp/x)"},
      {"eval", "eval \"$x\""},
      {"decoded-script", "echo cm0= | base64 -d > /tmp/x"},
      {"decoded-script", "echo 726d | xxd -r -p"},
      {"remove-top-folder", "rm -rf /"},
      {"remove-top-folder", "rm -rf --no-preserve-root /x"},
      {"remove-top-folder", "rm -r -f /etc/*"},
      {"remove-top-folder", "find / -name x -delete"},
      {"open-top-folder", "chmod -R o+r /etc"},
      {"disk-write", "dd if=/dev/zero of=/dev/sda"},
      {"disk-write", "echo x > /dev/mem"},
      {"disk-write", "mkfs.xfs /tmp/x"},
      {"disable-audit", "systemctl disable auditd"},
      {"disable-audit", "auditctl -e 0"},
      {"disable-selinux", "setenforce 0"},
      {"disable-selinux", "sed -i s/^SELINUX=.*/SELINUX=permissive/ /etc/selinux/config"},
      {"kernel-module", "modprobe dccp"},
      {"reboot", "reboot"},
      {"reboot", "true && systemctl reboot"},
      {"reboot", "echo b > /proc/sysrq-trigger"},
      {"namespaces", "nsenter -t 1 -m true"},
      {"wipe-logs", "rm -f /var/log/audit/audit.log"},
      {"set-password", "echo root:x | chpasswd"},
      {"set-password", "passwd -d root"},
      {"new-superuser", "useradd -o -u 0 toor"},
      {"new-superuser", "echo 'toor:x:0:0::/:/bin/sh' >> /etc/passwd"},
      {"login-keys", "echo k >> /root/.ssh/authorized_keys"},
      {"preload", "echo /tmp/x.so > /etc/ld.so.preload"},
      {"special-bits", "chmod u+s /usr/bin/x"},
      {"special-bits", "chmod 4755 /usr/bin/x"},
      {"special-bits", "setcap cap_setuid+ep /usr/bin/x"},
      {"world-writable", "chmod 0777 /etc/x"},
      {"world-writable", "chmod o+w /etc/x"},
      {"device-node", "mknod /tmp/x b 8 0"},
      {"fork-bomb", ":(){ :|:& };:"},
      {"gf-run-itself", "rm -f /usr/libexec/gf-run"},
  };
  const Gate strict = gate();
  for (const auto& [name, script] : kCases) {
    CAPTURE(script);
    CHECK(refused_by(strict, proposal(script)) == std::string("deny-pattern:") + name);
    // The same in capitals is another command to a shell, but costs nothing to refuse; and a script of the
    // vendor is not held to it.
    CHECK(!refused_by(strict, proposal(script, Origin::vetted)).starts_with("deny-pattern:"));
  }
}

TEST_CASE("simple_disguises_do_not_get_past_the_patterns") {
  const Gate strict = gate();
  for (const char* script :
       {"cu\\\nrl http://h",     "c''url http://h", "c\"u\"rl http://h",     "\\curl http://h",
        "CURL http://h",         "curl\thttp://h",  "X=curl\n$X http://h",   "A=cur; $'\\x63url' http://h",
        "$'\\143url' http://h",  "cu$@rl http://h", "cu${*}rl http://h",     "curl${IFS}http://h",
        "true;curl http://h",    "(curl http://h)", "`curl http://h`",       "x=$(curl http://h)",
        "FOO=bar curl http://h", "exec curl h",     "P=/usr/bin; $P/curl h", "find . -exec curl {} \\;"}) {
    CAPTURE(script);
    CHECK(refused_by(strict, proposal(script)) == "deny-pattern:network-fetch");
  }
}

TEST_CASE("harmless_scripts_are_not_refused_for_a_word_in_them") {
  const Gate strict = gate();
  for (const char* script :
       {"echo 'install usb-storage /bin/true' > /etc/modprobe.d/usb.conf", "grep -q curl /etc/dnf/dnf.conf",
        "chmod 0640 /etc/x", "chmod go-w /etc/x", "chmod u=rw,g=r,o= /etc/x", "rm -f /etc/x.bak", "rm -rf /etc/x.d",
        "sed -i 's/^reboot=.*//' /etc/x", "echo 'Defaults timestamp_timeout=0' > /etc/x",
        "systemctl restart rsyslog.service", "systemctl unmask auditd.service", "medieval=1",
        "echo '* hard core 0' >> /etc/security/limits.conf", "sysctl -w kernel.kptr_restrict=1",
        "find /etc/x -type f -exec chmod 600 {} +"}) {
    CAPTURE(script);
    CHECK(refused_by(strict, proposal(script)) == "");
  }
}

TEST_CASE("text_that_could_hide_something_is_refused") {
  CHECK(refused_by(gate(), proposal(std::string("true\0curl", 9))) == "encoding");
  CHECK(refused_by(gate(), proposal(std::string("true\0curl", 9), Origin::vetted)) == "encoding");
  CHECK(refused_by(gate(), proposal("true\rcurl")) == "encoding");
  CHECK(refused_by(gate(), proposal("true \x1b[2K")) == "encoding");
  CHECK(refused_by(gate(), proposal("true \xff")) == "encoding");
  CHECK(refused_by(gate(), proposal(" \n\t")) == "empty-script");
  CHECK(refused_by(gate(), proposal("true", Origin::model, "")) == "rule-id");
}

TEST_CASE("size_interpreter_and_origin_have_limits") {
  CHECK(refused_by(gate("script_bytes=10"), proposal("echo 12345")) == "");
  CHECK(refused_by(gate("script_bytes=10"), proposal("echo 123456")) == "script-size");
  Proposal python = proposal("print(1)");
  python.interpreter = "python3";
  CHECK(refused_by(gate(), python) == "interpreter");
  CHECK(refused_by(gate("interpreters=['/usr/bin/python3']"), python) == "");
  python.interpreter = "/tmp/python3";
  CHECK(refused_by(gate("interpreters=['/usr/bin/python3']"), python) == "interpreter");
  CHECK(refused_by(gate("origins=['vetted']"), proposal("true")) == "origin");
  CHECK(refused_by(gate("origins=['vetted']"), proposal("true", Origin::vetted)) == "");
}

TEST_CASE("only_allowed_modes_run_anything") {
  CHECK(refused_by(gate("modes=['scan','trial']"), proposal("true")) == "mode");
  CHECK(refused_by(gate("modes=['scan','trial']", Policy::none(), Mode::trial), proposal("true")) == "");
  CHECK(refused_by(gate("", Policy::none(), Mode::scan), proposal("true")) == "mode");
  CHECK(!gate("", Policy::none(), Mode::scan).refusal_of_mode());
  CHECK(gate("modes=['scan']").refusal_of_mode());
}

TEST_CASE("without_any_policy_nothing_runs") {
  CHECK(refused_by(Gate(Policy::none(), Policy::none(), {}), proposal("true")) == "mode");
}

TEST_CASE("guards_look_at_whole_words_of_the_rules_id") {
  const Gate strict = gate();
  const auto guard_of = [&](const std::string& id) {
    return refused_by(strict, proposal("true", Origin::vetted, "x_content_rule_" + id));
  };
  CHECK(guard_of("sshd_disable_root_login") == "guard:sshd");
  CHECK(guard_of("configure_crypto_policy") == "guard:crypto_policy");
  CHECK(guard_of("sudo_remove_nopasswd") == "guard:sudo");
  CHECK(guard_of("accounts_passwords_pam_faillock_deny") == "guard:pam");
  CHECK(guard_of("accounts_password_set_max_life_existing") == "guard:accounts");
  CHECK(guard_of("enable_fips_mode") == "guard:fips");
  CHECK(guard_of("audit_rules_immutable") == "guard:audit_immutable");
  CHECK(guard_of("service_fapolicyd_enabled") == "guard:fapolicyd");
  CHECK(guard_of("service_usbguard_enabled") == "guard:usbguard");
  CHECK(guard_of("set_firewalld_default_zone") == "guard:firewalld");
  CHECK(guard_of("mount_option_tmp_noexec") == "guard:mount_options");
  CHECK(guard_of("grub2_password") == "guard:grub_password");
  CHECK(guard_of("aide_build_database") == "guard:aide");
  CHECK(guard_of("compass_notes") == "");
  CHECK(guard_of("sshdish") == "");
  CHECK(guard_of("audit_rules_privileged_commands_sudo") == "");
  CHECK(refused_by(strict, proposal("true", Origin::vetted, "xccdf_sshd.content_rule_banner")) == "");
}

TEST_CASE("guards_look_at_the_script_whatever_the_rule") {
  const Gate strict = gate();
  CHECK(refused_by(strict, proposal("sed -i d /etc/ssh/sshd_config")) == "guard:sshd");
  CHECK(refused_by(strict, proposal("D=/etc/ssh\nsed -i d $D/sshd_config")) == "guard:sshd");
  CHECK(refused_by(strict, proposal("chage -M 60 root", Origin::vetted)) == "guard:accounts");
  CHECK(refused_by(strict, proposal("echo '-e 2' >> /etc/audit/x", Origin::vetted)) == "guard:audit_immutable");
}

TEST_CASE("a_grant_opens_a_guard_for_exactly_its_rule_and_origin") {
  const std::string id = "x_content_rule_sshd_set_keepalive";
  const Gate granted = gate("[[grant]]\nclass='sshd'\nrules=['" + id + "']");
  CHECK(refused_by(granted, proposal("true", Origin::vetted, id)) == "");
  CHECK(refused_by(granted, proposal("true", Origin::vetted, id + "_0")) == "guard:sshd");
  CHECK(refused_by(granted, proposal("true", Origin::model, id)) == "guard:sshd");
}

TEST_CASE("the_host_narrows_what_the_signed_policy_grants_and_the_other_way_round") {
  const std::string grant = "[[grant]]\nclass='sshd'\nrules=['*']";
  const Proposal asked = proposal("true", Origin::vetted, "sshd_x");
  CHECK(refused_by(gate(grant, policy(grant)), asked) == "");
  CHECK(refused_by(gate("", policy(grant)), asked) == "guard:sshd");
  CHECK(refused_by(gate(grant, policy("")), asked) == "guard:sshd");
  CHECK(refused_by(gate("modes=['scan']", policy(grant)), asked) == "mode");
  CHECK(refused_by(gate("script_bytes=3", policy("")), proposal("true")) == "script-size");
  CHECK(refused_by(gate("", policy("[[deny_pattern]]\nname='n'\npattern='true'\napplies_to='all'")),
                   proposal("true", Origin::vetted)) == "deny-pattern:n");
  CHECK(refused_by(gate("deny_without=['eval']", policy("")), proposal("eval x")) == "deny-pattern:eval");
  CHECK(refused_by(gate("deny_without=['eval']"), proposal("eval x")) == "");
}

TEST_CASE("limits_are_the_smaller_of_both_policies") {
  const gf::ScriptLimits limits =
      gate("[limits]\nseconds=10\nprocesses=100", policy("[limits]\nseconds=20\nprocesses=50")).script_limits();
  CHECK(limits.seconds == 10);
  CHECK(limits.processes == 50);
}

TEST_CASE("a_refusal_says_what_to_do_and_shows_no_control_characters") {
  Proposal asked = proposal("true", Origin::vetted, "sshd_\x1b[2J");
  const auto verdict = gate().approve(asked);
  const Refusal& refusal = std::get<Refusal>(verdict);
  CHECK(refusal.reason.find('\x1b') == std::string::npos);
  CHECK(refusal.reason.find("[[grant]] of class \"sshd\"") != std::string::npos);
}

TEST_CASE("a_large_hostile_script_is_judged_quickly") {
  // Patterns that backtrack would not come back from these.
  for (const char* unit : {"rm -", "a=$a;", "chmod ", "useradd ", "/dev/", "\\x6", "${a", "systemctl stop "}) {
    std::string line, script;
    while (line.size() < 4080) line += unit;
    while (script.size() < 60000) script += line + "\n";
    (void)gate().approve(proposal(script));
    CHECK(refused_by(gate(), proposal(line + line)) == "line-length");
  }
}
