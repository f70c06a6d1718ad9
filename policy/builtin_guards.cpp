// The built-in lock-out guards: what has locked people out of machines after hardening, and the
// commands that show that they can still get in. POLICY.md has the same table for administrators.
#include <initializer_list>
#include <string>

#include "policy/builtin_rules.h"

namespace gf {

namespace {

Guard guard(std::string name, std::vector<std::string> rule_words, std::initializer_list<const char*> scripts,
            std::vector<std::string> paths) {
  Guard made{.name = std::move(name),
             .rule_words = std::move(rule_words),
             .scripts = {},
             .paths = std::move(paths),
             .checks = {}};
  for (const char* script : scripts) made.scripts.emplace_back(script, "built-in guard " + made.name);
  return made;
}

void shell_check(Guard& guard, std::string needs, std::string script) {
  guard.checks.push_back({guard.name, std::move(needs), {"/bin/sh", "-c", std::move(script)}});
}

// sshd wants its empty folder, which lives on /run and is missing where sshd never ran; and keys,
// without which a machine cannot be reached by ssh anyhow, whatever its configuration says.
constexpr const char* kSshdCheck =
    "mkdir -p /run/sshd && chmod 0755 /run/sshd || exit 1\n"
    "for key in /etc/ssh/ssh_host_*_key; do [ -s \"$key\" ] && exec /usr/sbin/sshd -t; done\n"
    "exit 0";

// Every module that a stack names must be there (a missing 'required' module denies everybody),
// and the stacks that log people in must not be empty.
constexpr const char* kPamCheck =
    "bad=0\n"
    "for f in /etc/pam.d/*; do\n"
    "  [ -f \"$f\" ] || continue\n"
    "  for m in $(sed -e 's/#.*//' -e '/^[[:space:]]*-/d' \"$f\" | grep -o '[^[:space:]]*pam_[a-z0-9_]*\\.so'); do\n"
    "    case $m in /*) [ -e \"$m\" ] || bad=1; continue;; esac\n"
    "    found=0\n"
    "    for d in /lib64/security /usr/lib64/security /lib/security /usr/lib/security /lib/*/security "
    "/usr/lib/*/security; do\n"
    "      [ -e \"$d/$m\" ] && found=1\n"
    "    done\n"
    "    [ $found = 1 ] || { echo \"$f names $m, which is not installed\"; bad=1; }\n"
    "  done\n"
    "done\n"
    "for f in /etc/pam.d/system-auth /etc/pam.d/password-auth /etc/pam.d/common-auth; do\n"
    "  [ -e \"$f\" ] || continue\n"
    "  grep -Eq '^[[:space:]]*auth[[:space:]].*pam_(unix|sss|permit|deny)\\.so' \"$f\" ||\n"
    "    { echo \"$f authenticates nobody\"; bad=1; }\n"
    "done\n"
    "exit $bad";

// root must still exist with UID 0, and neither root nor the file may be unusable.
constexpr const char* kAccountsCheck =
    "grep -q '^root:[^:]*:0:0:' /etc/passwd || { echo 'root is missing from /etc/passwd'; exit 1; }\n"
    "[ ! -e /etc/shadow ] || grep -q '^root:' /etc/shadow || { echo 'root is missing from /etc/shadow'; exit 1; }\n"
    "shell=$(sed -n 's/^root:.*:\\([^:]*\\)$/\\1/p' /etc/passwd | head -n 1)\n"
    "[ -z \"$shell\" ] || [ -x \"$shell\" ] || { echo \"the shell of root, $shell, is missing\"; exit 1; }\n"
    "! grep -Ev '^([^:]*:){6}[^:]*$' /etc/passwd | grep -q . || { echo '/etc/passwd has ill-formed lines'; exit 1; }";

// `-e 2` freezes the rules: what follows it is never loaded, and makes the load fail.
constexpr const char* kAuditCheck =
    "[ -e /etc/audit/audit.rules ] || exit 0\n"
    "! sed '1,/^[[:space:]]*-e[[:space:]]*2/d' /etc/audit/audit.rules | grep -Eq '^[[:space:]]*-[aAwWdD]' ||\n"
    "  { echo 'rules follow -e 2 in /etc/audit/audit.rules'; exit 1; }";

constexpr const char* kFstabCheck =
    "[ -e /etc/fstab ] || exit 0\n"
    "sed -e 's/#.*//' /etc/fstab | while read -r device point type options rest; do\n"
    "  [ -n \"$device\" ] || continue\n"
    "  [ -n \"$options\" ] || { echo \"/etc/fstab: the line of $device has fewer than four fields\"; exit 1; }\n"
    "done";

}  // namespace

std::vector<Guard> builtin_guards() {
  std::vector<Guard> list;

  Guard sshd = guard("sshd", {"sshd", "host_auth"},
                     {"/etc/ssh/sshd_config", "(^|[[:space:]])(stop|disable|mask)[[:space:]].*sshd?([.[:space:]]|$)",
                      "/etc/sysconfig/sshd", "/etc/crypto-policies/back-ends/openssh"},
                     {"/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/**", "/etc/ssh/ssh_host_*", "/etc/sysconfig/sshd",
                      "/etc/ssh/moduli"});
  shell_check(sshd, "/usr/sbin/sshd", kSshdCheck);
  list.push_back(std::move(sshd));

  Guard crypto = guard("crypto_policy", {"crypto_policy", "crypto_policies"},
                       {"update-crypto-policies", "/etc/crypto-policies"}, {"/etc/crypto-policies/**"});
  shell_check(crypto, "/usr/sbin/sshd", kSshdCheck);
  list.push_back(std::move(crypto));

  Guard sudo = guard("sudo", {"^sudo", "^sudoers", "password_sudo", "nopasswd"}, {"/etc/sudoers", "visudo"},
                     {"/etc/sudoers", "/etc/sudoers.d/**", "/etc/sudo.conf"});
  sudo.checks.push_back({"sudo", "/usr/sbin/visudo", {"/usr/sbin/visudo", "-c"}});
  list.push_back(std::move(sudo));

  Guard pam =
      guard("pam", {"pam", "faillock", "authselect", "empty_passwords", "smartcards"},
            {"/etc/pam\\.d", "authselect[[:space:]]", "/etc/security/(faillock|access|time)\\.conf", "pam_faillock"},
            {"/etc/pam.d/**", "/etc/pam.conf", "/etc/authselect/**", "/etc/security/faillock.conf",
             "/etc/security/access.conf", "/etc/security/time.conf", "/etc/nsswitch.conf"});
  shell_check(pam, "", kPamCheck);
  list.push_back(std::move(pam));

  Guard accounts = guard("accounts",
                         {"existing", "no_uid_except_zero", "shelllogin", "unique_id", "home_directory_defined",
                          "authorized_local_users", "temp_expire_date", "post_pw_expiration"},
                         {"(^|[^a-z_])(chage|usermod|userdel|groupdel|nologin|pwunconv)[[:space:]]",
                          "passwd[[:space:]]+(-[a-z]*[ldx]|--(lock|delete|expire))"},
                         {"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"});
  shell_check(accounts, "", kAccountsCheck);
  list.push_back(std::move(accounts));

  Guard fips = guard("fips", {"fips", "fips_mode"}, {"fips-mode-setup", "fips=1", "/etc/system-fips"},
                     {"/etc/system-fips", "/etc/dracut.conf.d/*fips*"});
  shell_check(fips, "/usr/sbin/sshd", kSshdCheck);
  list.push_back(std::move(fips));

  Guard audit = guard("audit_immutable", {"audit_rules_immutable", "audit_immutable"},
                      {"(^|[^a-z])-e[[:space:]]+2([^0-9]|$)"}, {"/etc/audit/rules.d/*immutable*.rules"});
  shell_check(audit, "", kAuditCheck);
  list.push_back(std::move(audit));

  list.push_back(guard("fapolicyd", {"fapolicyd"}, {"fapolicyd"}, {"/etc/fapolicyd/**"}));
  list.back().checks.push_back({"fapolicyd", "/usr/sbin/fapolicyd-cli", {"/usr/sbin/fapolicyd-cli", "--check-config"}});
  list.push_back(guard("usbguard", {"usbguard"}, {"usbguard"}, {"/etc/usbguard/**"}));
  shell_check(list.back(), "/usr/bin/usbguard",
              "[ ! -e /etc/usbguard/usbguard-daemon.conf ] || [ -s /etc/usbguard/usbguard-daemon.conf ]");
  list.push_back(guard(
      "firewalld", {"firewalld"}, {"firewall-(cmd|offline-cmd)", "firewalld", "/etc/(nftables|sysconfig/ip6?tables)"},
      {"/etc/firewalld/**", "/etc/nftables/**", "/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables"}));
  list.back().checks.push_back(
      {"firewalld", "/usr/bin/firewall-offline-cmd", {"/usr/bin/firewall-offline-cmd", "--check-config"}});

  Guard mounts =
      guard("mount_options", {"mount_option", "partition_for", "encrypt_partitions"},
            {"/etc/fstab", "mount[[:space:]].*-o[[:space:]]", "remount"},
            {"/etc/fstab", "/etc/crypttab", "/etc/systemd/system/*.mount", "/etc/systemd/system/*.mount.d/**"});
  shell_check(mounts, "", kFstabCheck);
  list.push_back(std::move(mounts));

  Guard grub = guard("grub_password", {"^grub2_password", "^grub2_uefi_password", "admin_username"},
                     {"grub2?-(setpassword|mkpasswd)", "password_pbkdf2", "superusers", "/etc/grub\\.d/01_users"},
                     {"/boot/grub2/user.cfg", "/boot/efi/EFI/*/user.cfg", "/etc/grub.d/01_users"});
  grub.checks.push_back(
      {"grub_password", "/usr/bin/grub2-script-check", {"/usr/bin/grub2-script-check", "/boot/grub2/grub.cfg"}});
  list.push_back(std::move(grub));

  Guard aide = guard("aide", {"^aide", "package_aide"}, {"(^|[^a-z])aide[[:space:]]+--?(init|update|i|u)", "/etc/aide"},
                     {"/etc/aide.conf", "/etc/aide/**", "/var/lib/aide/**"});
  aide.checks.push_back({"aide", "/usr/sbin/aide", {"/usr/sbin/aide", "--config-check"}});
  list.push_back(std::move(aide));
  return list;
}

}  // namespace gf
