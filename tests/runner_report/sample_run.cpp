// Every third rule passes, some do not apply, vetted fixes do most of the work, the model a little.
#include "tests/runner_report/sample_run.h"

#include <array>

#include "kernels/base/digest.h"
#include "tests/support/catch.h"

namespace gf::test {
namespace {

using nlohmann::json;

std::string digest_of(const std::string& text) { return sha384(text).hex(); }

struct Topic {
  const char* word;
  const char* title;
  const char* path;
};

constexpr std::array<Topic, 9> kTopics = {{
    {"sshd_set_idle_timeout", "Set SSH Client Alive Interval",
     "/etc/ssh/sshd_config.d/00-complianceascode-hardening.conf"},
    {"accounts_password_pam_minlen", "Ensure PAM Enforces Password Requirements - Minimum Length",
     "/etc/security/pwquality.conf"},
    {"audit_rules_dac_modification_fchmodat",
     "Record Events that Modify the System's Discretionary Access Controls - fchmodat",
     "/etc/audit/rules.d/perm_mod.rules"},
    {"file_permissions_etc_shadow", "Verify Permissions on shadow File", "/etc/shadow"},
    {"sysctl_net_ipv4_conf_all_accept_redirects", "Disable Accepting ICMP Redirects for All IPv4 Interfaces",
     "/etc/sysctl.d/net_ipv4_conf_all_accept_redirects.conf"},
    {"service_usbguard_enabled", "Enable the USBGuard Service",
     "/etc/systemd/system/basic.target.wants/usbguard.service"},
    {"sudo_remove_nopasswd", "Ensure Users Re-Authenticate for Privilege Escalation - sudo NOPASSWD", "/etc/sudoers"},
    {"mount_option_var_log_audit_nosuid", "Add nosuid Option to /var/log/audit", "/etc/fstab"},
    {"configure_bashrc_tmux_in_an_unusually_long_rule_identifier_that_must_not_break_the_layout_of_any_table",
     "Configure tmux to Lock Session After Inactivity", "/etc/bashrc"},
}};

class Sample {
 public:
  explicit Sample(const SampleOptions& options) : options_(options) {}
  std::vector<SampleEvent> events();

 private:
  enum class Fate {
    passes,
    not_applicable,
    not_checked,
    vetted,
    model,
    open,
    refused,
    waived,
    expired,
    rolled_back,
    reboot
  };
  [[nodiscard]] static Fate fate(int i);
  [[nodiscard]] std::string text(const std::string& ordinary) const {
    return options_.hostile ? hostile_text() : ordinary;
  }
  [[nodiscard]] static std::string id(int i);
  [[nodiscard]] std::string before(int i) const;
  [[nodiscard]] std::string after(int i) const;
  void add(const std::string& type, json body) { events_.push_back({type, std::move(body)}); }
  void opening();
  void scan(const std::string& phase);
  void attempt(int i, int number, const std::string& origin, const std::string& outcome);
  void commit(int i, int number, const std::string& origin, const std::string& outcome);
  void outcome(int i, const std::string& word, const std::string& reason, json fixed_by, int attempts,
               int model_attempts);
  void remediate(int i);

  SampleOptions options_;
  std::vector<SampleEvent> events_;
};

Sample::Fate Sample::fate(int i) {
  if (i % 3 == 0) return Fate::passes;
  if (i % 17 == 1) return Fate::not_applicable;
  if (i % 41 == 2) return Fate::not_checked;
  if (i % 37 == 4) return Fate::model;
  if (i % 29 == 5) return Fate::refused;
  if (i % 31 == 7) return Fate::open;
  if (i == 8) return Fate::waived;
  if (i == 10) return Fate::expired;
  if (i == 11) return Fate::rolled_back;
  if (i == 13) return Fate::reboot;
  return Fate::vetted;
}

std::string Sample::id(int i) {
  return "xccdf_org.ssgproject.content_rule_" + std::string(kTopics[static_cast<size_t>(i) % kTopics.size()].word) +
         "_" + std::to_string(i);
}

std::string Sample::before(int i) const {
  switch (fate(i)) {
    case Fate::passes: return "pass";
    case Fate::not_applicable: return "notapplicable";
    case Fate::not_checked: return "notchecked";
    default: return "fail";
  }
}

std::string Sample::after(int i) const {
  const Fate what = fate(i);
  return what == Fate::vetted || what == Fate::model ? "pass" : before(i);
}

void Sample::opening() {
  add("run_started", run_started_body("run-1", options_.mode));
  json rules = json::array();
  for (int i = 0; i < options_.rules; ++i) {
    const Topic& topic = kTopics[static_cast<size_t>(i) % kTopics.size()];
    const char* severity = i % 11 == 0 ? "high" : i % 7 == 0 ? "low" : "medium";
    rules.push_back({{"id", id(i)},
                     {"title", text(topic.title)},
                     {"severity", severity},
                     {"description", text("The setting must be present in " + std::string(topic.path) +
                                          ".\nWithout it, a session may stay open.")},
                     {"references", {"CCE-8" + std::to_string(3000 + i) + "-1", "CCI-000366"}},
                     {"stig_id", "RHEL-09-" + std::to_string(211000 + i)},
                     {"sv_id", "SV-" + std::to_string(257700 + i) + "r925300_rule"},
                     {"has_fix", fate(i) != Fate::model && fate(i) != Fate::open}});
  }
  add("benchmark", {{"benchmark_id", "xccdf_org.ssgproject.content_benchmark_RHEL-9"},
                    {"profile_id", "xccdf_org.ssgproject.content_profile_stig"},
                    {"profile_title", text("DISA STIG for Red Hat Enterprise Linux 9")},
                    {"content_title", text("Guide to the Secure Configuration of Red Hat Enterprise Linux 9")},
                    {"version", "0.1.76"},
                    {"rules", rules}});
  add("models", {{"models",
                  {{{"name", "gemma-4-demo"},
                    {"roles", {"architect", "worker", "reflector"}},
                    {"digest", digest_of("weights")},
                    {"format", "bf16"},
                    {"bytes", 12582912},
                    {"demo", options_.demo_model},
                    {"note", text("seeded weights")}}}},
                 {"prompts",
                  {{{"name", "prompts/worker.txt"}, {"digest", digest_of("worker")}},
                   {{"name", "prompts/architect.txt"}, {"digest", digest_of("architect")}}}}});
  add("waivers", {{"waivers",
                   {{{"rule", id(8)},
                     {"approver", "M. Officer"},
                     {"author", "J. Admin"},
                     {"reason", text("The device has no USB port.")},
                     {"expires", "2027-06-30"},
                     {"active", true}},
                    {{"rule", id(10)},
                     {"approver", "M. Officer"},
                     {"author", "J. Admin"},
                     {"reason", text("Until the new mail relay is in place.")},
                     {"expires", "2026-06-30"},
                     {"active", false}}}}});
}

void Sample::scan(const std::string& phase) {
  json states = json::array();
  for (int i = 0; i < options_.rules; ++i)
    states.push_back(
        {{"rule", id(i)},
         {"result", phase == "after" ? after(i) : before(i)},
         {"evidence",
          text("object: textfilecontent54, path " + std::string(kTopics[static_cast<size_t>(i) % kTopics.size()].path) +
               "\nexpected: minlen = 15\ncollected: " + (phase == "after" ? "minlen = 15" : "no matching line"))}});
  add("scan", {{"phase", phase},
               {"seconds", phase == "before" ? 3.25 : 3.5},
               {"states", states},
               {"xccdf_digest", digest_of("<TestResult/>\n")}});
}

void Sample::attempt(int i, int number, const std::string& origin, const std::string& outcome) {
  const Topic& topic = kTopics[static_cast<size_t>(i) % kTopics.size()];
  const std::string script =
      text("#!/bin/bash\nset -e\nif grep -q '^minlen' " + std::string(topic.path) +
           "; then\n\tsed -i 's/^minlen.*/minlen = 15/' " + topic.path + "\nelse\n\techo 'minlen = 15' >> " +
           topic.path + "\nfi\n# attempt " + std::to_string(number));
  add("attempt_intent", {{"rule", id(i)},
                         {"attempt", number},
                         {"origin", origin},
                         {"script", script},
                         {"script_digest", digest_of(to_valid_utf8(script))}});
  const bool ran = outcome != "refused" && outcome != "invalid_output";
  json changes = json::array();
  if (ran) changes.push_back({{"path", topic.path}, {"kind", "modified"}});
  json plan;
  if (origin == "model")
    plan = {{"rule_id", id(i)}, {"risk", "low"}, {"reason", text("The setting is missing.")}, {"needs_reboot", false}};
  add("attempt", {{"rule", id(i)},
                  {"attempt", number},
                  {"origin", origin},
                  {"outcome", outcome},
                  {"reason", outcome == "refused"  ? text("the script pipes a download into a shell")
                             : outcome == "passed" ? ""
                                                   : text("the rule still fails")},
                  {"refused_by", outcome == "refused" ? json("deny-pattern:curl-pipe-shell") : json()},
                  {"exit_code", ran ? json(outcome == "passed" ? 0 : 1) : json()},
                  {"output", ran ? text("sed: can't read /etc/missing: No such file or directory") : ""},
                  {"result", ran ? json(outcome == "passed" ? "pass" : "fail") : json()},
                  {"evidence", ran ? text("expected: minlen = 15, collected: minlen = 8") : ""},
                  {"changes", changes},
                  {"seconds", origin == "model" ? 6.5 : 0.25},
                  {"plan", plan},
                  {"lesson", outcome == "failed" && origin == "model"
                                 ? json(text("The drop-in file is read first: change it there."))
                                 : json()}});
}

void Sample::commit(int i, int number, const std::string& origin, const std::string& outcome) {
  const Topic& topic = kTopics[static_cast<size_t>(i) % kTopics.size()];
  const std::string commit_id = "c" + std::to_string(1000 + i);
  add("commit_intent", {{"rule", id(i)},
                        {"commit_id", commit_id},
                        {"attempt", number},
                        {"origin", origin},
                        {"changes",
                         {{{"path", text(topic.path)},
                           {"kind", "modified"},
                           {"before_digest", digest_of("before" + std::to_string(i))},
                           {"after_digest", digest_of("after" + std::to_string(i))},
                           {"before_mode", 0644},
                           {"after_mode", 0600}}}}});
  add("commit", {{"rule", id(i)},
                 {"commit_id", commit_id},
                 {"outcome", outcome},
                 {"result", outcome == "committed" ? "pass" : "fail"},
                 {"reason", outcome == "committed" ? "" : text("the rule failed on the target itself")}});
}

void Sample::outcome(int i, const std::string& word, const std::string& reason, json fixed_by, int attempts,
                     int model_attempts) {
  add("rule_outcome", {{"rule", id(i)},
                       {"outcome", word},
                       {"reason", text(reason)},
                       {"fixed_by", std::move(fixed_by)},
                       {"attempts", attempts},
                       {"model_attempts", model_attempts},
                       {"seconds", 0.5 * attempts}});
}

void Sample::remediate(int i) {
  const bool apply = options_.mode == "apply";
  switch (fate(i)) {
    case Fate::passes: return outcome(i, "already_passing", "", nullptr, 0, 0);
    case Fate::not_applicable: return outcome(i, "not_applicable", "", nullptr, 0, 0);
    case Fate::not_checked: return outcome(i, "not_checked", "the content has no automatic check", nullptr, 0, 0);
    case Fate::vetted:
      attempt(i, 1, "vetted", "passed");
      if (apply) commit(i, 1, "vetted", "committed");
      return outcome(i, apply ? "fixed" : "trial_only", "", "vetted", 1, 0);
    case Fate::model:
      attempt(i, 1, "model", "invalid_output");
      attempt(i, 2, "model", "failed");
      attempt(i, 3, "model", "passed");
      if (apply) commit(i, 3, "model", "committed");
      return outcome(i, apply ? "fixed" : "trial_only", "", "model", 3, 3);
    case Fate::open:
      attempt(i, 1, "model", "failed");
      attempt(i, 2, "model", "unhealthy");
      return outcome(i, "not_fixed", "2 attempts of the model failed; the budget of this rule is spent", nullptr, 2, 2);
    case Fate::refused:
      attempt(i, 1, "vetted", "refused");
      return outcome(i, "refused", "the policy does not allow changes to sudoers for this rule", nullptr, 1, 0);
    case Fate::waived: return outcome(i, "waived", "waived until 2027-06-30", nullptr, 0, 0);
    case Fate::expired: return outcome(i, "waived", "waived", nullptr, 0, 0);
    case Fate::rolled_back:
      attempt(i, 1, "vetted", "passed");
      if (apply) {
        commit(i, 1, "vetted", "committed");
        add("roll_back", {{"commit_id", "c" + std::to_string(1000 + i)},
                          {"rule", id(i)},
                          {"reason", text("another rule failed after it")}});
      }
      return outcome(i, "rolled_back", "another rule failed after it", nullptr, 1, 0);
    case Fate::reboot:
      attempt(i, 1, "vetted", "passed");
      return outcome(i, "needs_reboot", "the running kernel keeps the old value until the next boot", "vetted", 1, 0);
  }
}

std::vector<SampleEvent> Sample::events() {
  opening();
  scan("before");
  if (options_.mode != "scan")
    for (int i = 0; i < options_.rules; ++i) remediate(i);
  if (options_.finished) {
    if (options_.mode == "apply") scan("after");
    add("note",
        {{"text", text("cgroup v2 memory control is not available here; scripts are limited by rlimits alone")}});
    add("run_finished",
        {{"status", "complete"}, {"reason", ""}, {"finished", "2026-11-21T06:04:10Z"}, {"exit_code", 0}});
  }
  return std::move(events_);
}

std::function<Time()> counting_clock() {
  auto now = std::make_shared<Time>(parse_time("2026-11-21T06:00:00Z", "start"));
  return [now] { return *now += std::chrono::seconds(1); };
}

}  // namespace

std::string hostile_text() {
  return "<script>alert(1)</script>\"'&amp;]]><!--\x1b[2J\x1b]0;owned\x07\xE2\x80\xAEgnp.exe\xff\r\n<img src=x "
         "onerror=alert(1)></style></pre></details>\t--> {{7*7}}";
}

json run_started_body(const std::string& run_id, const std::string& mode) {
  return {{"run_id", run_id},
          {"version", GF_VERSION},
          {"mode", mode},
          {"started", "2026-11-21T06:00:00Z"},
          {"host", "edge-17.example.mil"},
          {"target", {{"kind", "root"}, {"path", "/srv/target"}}},
          {"job_digest", digest_of("job")},
          {"previous_run", nullptr},
          {"bundles",
           {{{"path", "/media/stick/rhel9-stig.gfb"},
             {"stream", "rhel9-stig"},
             {"version", 7},
             {"digest", digest_of("bundle")},
             {"signers", {{{"subject", "CN=Content signer,O=Example"}, {"key", digest_of("key")}}}}}}},
          {"content", {{"name", "ssg-rhel9-ds.xml"}, {"digest", digest_of("content")}}},
          {"policy_digest", digest_of("policy")},
          {"trust_digest", digest_of("trust")},
          {"clock", {{"synchronized", false}, {"source", "hardware clock"}}}};
}

std::vector<SampleEvent> sample_events(const SampleOptions& options) { return Sample(options).events(); }

Journal write_events(const std::filesystem::path& state_folder, const std::string& run_id,
                     const std::vector<SampleEvent>& events) {
  Journal journal =
      Journal::create(state_folder, run_id, head_of_latest_run(state_folder).value_or(Digest{}), counting_clock());
  for (const SampleEvent& event : events) journal.append(event.type, event.body);
  return journal;
}

Journal write_sample(const std::filesystem::path& state_folder, const std::string& run_id,
                     const SampleOptions& options) {
  std::vector<SampleEvent> events = sample_events(options);
  events.front().body["run_id"] = run_id;
  return write_events(state_folder, run_id, events);
}

std::vector<JournalEntry> entries_of(const std::vector<SampleEvent>& events) {
  std::vector<JournalEntry> entries;
  Time time = parse_time("2026-11-21T06:00:00Z", "start");
  Digest previous;
  for (const SampleEvent& event : events) {
    JournalEntry entry;
    entry.seq = entries.size();
    entry.time = time += std::chrono::seconds(1);
    entry.type = event.type;
    entry.body = with_valid_text(event.body);
    entry.previous = previous;
    entry.digest = previous = sha384(previous.hex() + event.type + entry.body.dump());
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace gf::test
