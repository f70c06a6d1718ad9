// The table of commands and the files that they write.
#include "policy/command_files.h"

#include <algorithm>
#include <cctype>

namespace gf {

namespace {

bool is_word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

// "/etc/passwd" is not the command passwd; "/usr/bin/passwd" is.
bool is_command_folder(std::string_view before) { return !before.ends_with('/') || before.ends_with("bin/"); }

// Position behind `command` where it stands as a word of its own, maybe with a folder before it.
size_t behind_command(std::string_view line, std::string_view command) {
  for (size_t at = line.find(command); at != std::string_view::npos; at = line.find(command, at + 1)) {
    const size_t end = at + command.size();
    const bool left = at == 0 || (!is_word_char(line[at - 1]) && is_command_folder(line.substr(0, at)));
    const bool right = end == line.size() || std::string_view(" \t'\";)}").find(line[end]) != std::string_view::npos;
    if (left && right) return end;
  }
  return std::string_view::npos;
}

// The same for a variable that holds the command: "$SYSTEMCTL_EXEC" mask x.service.
size_t behind_variable(std::string_view line, std::string_view command, const std::vector<ScriptVariable>& variables) {
  for (const ScriptVariable& variable : variables) {
    for (const std::string& value : variable.values) {
      if (behind_command(value, command) != value.size()) continue;
      for (const std::string& use : {"$" + variable.name, "${" + variable.name + "}"}) {
        const size_t at = line.find(use);
        if (at != std::string_view::npos) return at + use.size();
      }
    }
  }
  return std::string_view::npos;
}

// systemctl enable|disable|mask|... UNIT writes links for that unit only.
void add_units(std::string_view line, size_t at, std::vector<std::string>& out) {
  while (at < line.size()) {
    while (at < line.size() && !is_word_char(line[at]) && line[at] != ';') ++at;
    if (at >= line.size() || line[at] == ';') return;
    size_t end = at;
    while (end < line.size() && (is_word_char(line[end]) || line[end] == '@')) ++end;
    const std::string unit(line.substr(at, end - at));
    at = end;
    static constexpr std::string_view kTypes[] = {".service", ".socket", ".timer", ".target", ".mount", ".path"};
    const bool typed =
        std::any_of(std::begin(kTypes), std::end(kTypes), [&](std::string_view type) { return unit.ends_with(type); });
    if (typed) {
      out.push_back("/etc/systemd/system/" + unit);
      out.push_back("/etc/systemd/system/*.wants/" + unit);
      out.push_back("/etc/systemd/system/*.requires/" + unit);
      // Where systemctl also serves System V scripts: S01auditd, K01auditd.
      if (unit.ends_with(".service")) out.push_back("/etc/rc?.d/???" + unit.substr(0, unit.rfind('.')));
    }
    if (unit == "set-default") out.push_back("/etc/systemd/system/default.target");
  }
}

}  // namespace

const std::vector<CommandFiles>& command_files() {
  static const std::vector<std::string_view> accounts = {"/etc/passwd", "/etc/shadow", "/etc/group",    "/etc/gshadow",
                                                         "/etc/subuid", "/etc/subgid", "/etc/.pwd.lock"};
  static const std::vector<CommandFiles> table = {
      {"chage", {"/etc/passwd", "/etc/shadow", "/etc/.pwd.lock"}},
      {"passwd", {"/etc/passwd", "/etc/shadow", "/etc/.pwd.lock"}},
      {"usermod", accounts},
      {"useradd", accounts},
      {"userdel", accounts},
      {"groupadd", accounts},
      {"groupmod", accounts},
      {"groupdel", accounts},
      {"gpasswd", accounts},
      {"pwconv", accounts},
      {"grpconv", accounts},
      {"update-crypto-policies", {"/etc/crypto-policies/**"}},
      {"fips-mode-setup", {"/etc/crypto-policies/**", "/etc/system-fips", "/etc/dracut.conf.d/*fips*"}},
      {"authselect",
       {"/etc/authselect/**", "/etc/pam.d", "/etc/nsswitch.conf", "/etc/dconf/db/**", "/var/lib/authselect/**"}},
      {"dconf", {"/etc/dconf/db/**"}},
      {"augenrules", {"/etc/audit/audit.rules", "/etc/audit/audit.rules.prev"}},
      {"aide", {"/var/lib/aide/**", "/var/log/aide/**"}},
      {"grubby", {"/etc/default/grub", "/etc/kernel/cmdline", "/boot/grub2/grubenv", "/boot/loader/entries"}},
      {"grub2-mkconfig", {"/boot/grub2/grub.cfg"}},
      {"grub2-setpassword", {"/boot/grub2/user.cfg"}},
      {"newaliases", {"/etc/aliases.db", "/etc/aliases.lmdb"}},
      {"postconf", {"/etc/postfix/main.cf"}},
      {"postalias", {"/etc/aliases.db", "/etc/aliases.lmdb"}},
      {"firewall-cmd", {"/etc/firewalld/**"}},
      {"firewall-offline-cmd", {"/etc/firewalld/**"}},
      {"nmcli", {"/etc/NetworkManager/system-connections", "/etc/resolv.conf"}},
      {"semanage", {"/etc/selinux/*/modules/**", "/etc/selinux/*/contexts/**", "/var/lib/selinux/**"}},
      {"setsebool", {"/var/lib/selinux/**"}},
      {"systemctl", {}},
  };
  return table;
}

std::vector<std::string> files_written_by_commands_in(std::string_view line,
                                                      const std::vector<ScriptVariable>& variables) {
  std::vector<std::string> out;
  for (const CommandFiles& entry : command_files()) {
    size_t behind = behind_command(line, entry.command);
    if (behind == std::string_view::npos) behind = behind_variable(line, entry.command, variables);
    if (behind == std::string_view::npos) continue;
    for (const std::string_view path : entry.paths) out.emplace_back(path);
    if (entry.command == "systemctl") add_units(line, behind, out);
  }
  return out;
}

}  // namespace gf
