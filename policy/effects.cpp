// Classifying changes by what they give to whom. Paths are compared in their canonical spelling, so
// that /lib/systemd and /usr/lib/systemd are one place.
#include "policy/effects.h"

#include <algorithm>
#include <array>
#include <iomanip>
#include <span>
#include <sstream>

#include "policy/accounts_file.h"
#include "policy/named_paths.h"

namespace gf {

namespace {

constexpr uint32_t kSetuid = 04000;
constexpr uint32_t kSetgid = 02000;

constexpr std::array<std::string_view, 13> kEffectClasses = {
    "setuid",         "setgid",       "file_capabilities", "ld_so_preload", "authorized_keys",
    "sudoers",        "cron",         "systemd_units",     "uid0_account",  "device_node",
    "system_program", "unnamed_path", "unnamed_tightening"};

// A class of places. Whatever is created, changed or removed there belongs to it.
struct Place {
  std::string_view of_class;
  std::string_view glob;
};

constexpr Place kPlaces[] = {
    {"ld_so_preload", "/etc/ld.so.preload"},
    {"ld_so_preload", "/etc/ld.so.conf"},
    {"ld_so_preload", "/etc/ld.so.conf.d/**"},
    {"authorized_keys", "/**/authorized_keys"},
    {"authorized_keys", "/**/authorized_keys2"},
    {"authorized_keys", "/**/.ssh"},
    {"authorized_keys", "/**/.ssh/**"},
    {"authorized_keys", "/etc/ssh/authorized_keys*/**"},
    {"sudoers", "/etc/sudoers"},
    {"sudoers", "/etc/sudoers.d/**"},
    {"sudoers", "/etc/sudo.conf"},
    {"sudoers", "/etc/doas.conf"},
    {"sudoers", "/etc/polkit-1/**"},
    {"sudoers", "/usr/share/polkit-1/**"},
    {"cron", "/etc/crontab"},
    {"cron", "/etc/anacrontab"},
    {"cron", "/etc/cron.d/**"},
    {"cron", "/etc/cron.hourly/**"},
    {"cron", "/etc/cron.daily/**"},
    {"cron", "/etc/cron.weekly/**"},
    {"cron", "/etc/cron.monthly/**"},
    {"cron", "/var/spool/cron/**"},
    {"cron", "/var/spool/at/**"},
    {"cron", "/var/spool/anacron/**"},
    {"systemd_units", "/etc/systemd/system/**"},
    {"systemd_units", "/etc/systemd/user/**"},
    {"systemd_units", "/etc/systemd/*-generators/**"},
    {"systemd_units", "/etc/systemd/*.attached/**"},
    {"systemd_units", "/etc/systemd/*.control/**"},
    {"systemd_units", "/usr/lib/systemd/**"},
    {"systemd_units", "/usr/local/lib/systemd/**"},
    {"systemd_units", "/run/systemd/**"},
    {"systemd_units", "/**/.config/systemd/**"},
    {"systemd_units", "/**/.local/share/systemd/**"},
    {"systemd_units", "/etc/init.d/**"},
    {"systemd_units", "/etc/rc.d/**"},
    {"systemd_units", "/etc/rc?.d/**"},
    {"systemd_units", "/etc/rc.local"},
    {"systemd_units", "/etc/inittab"},
    {"systemd_units", "/etc/udev/rules.d/**"},
    {"systemd_units", "/usr/lib/udev/rules.d/**"},
};

// Where a file that grants trust to other hosts must not appear, and may well be removed.
constexpr std::string_view kHostTrustGlobs[] = {"/**/.rhosts", "/**/.shosts", "/etc/hosts.equiv",
                                                "/etc/ssh/shosts.equiv"};

constexpr std::string_view kProgramGlobs[] = {
    "/usr/bin/**",       "/usr/sbin/**",       "/usr/lib/**",       "/usr/lib64/**",       "/usr/libexec/**",
    "/usr/local/bin/**", "/usr/local/sbin/**", "/usr/local/lib/**", "/usr/local/lib64/**", "/boot/**",
};

// Configuration and units that live among them; units are a class of their own.
constexpr std::string_view kNoPrograms[] = {"/usr/lib/systemd/system/**", "/usr/lib/systemd/user/**",
                                            "/usr/lib/udev/rules.d/**", "/usr/lib/*.d/*.conf",
                                            "/usr/local/lib/*.d/*.conf"};

bool matches_any(std::span<const std::string_view> globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(), [&](std::string_view glob) { return matches_glob(glob, path); });
}

std::string octal(uint32_t mode) {
  std::ostringstream text;
  text << std::setw(4) << std::setfill('0') << std::oct << (mode & 07777);
  return text.str();
}

std::string xattr(const FileState& state, const std::string& name) {
  const auto found = state.xattrs.find(name);
  return found == state.xattrs.end() ? std::string() : found->second;
}

// The bit is new, or it now lifts other bytes or belongs to somebody else than before.
bool bit_is_new(const Change& change, uint32_t bit) {
  if ((change.after.mode & bit) == 0) return false;
  return change.before.type != change.after.type || (change.before.mode & bit) == 0 || change.content_changed ||
         change.before.uid != change.after.uid || change.before.gid != change.after.gid;
}

void add_privilege_bits(const Change& change, std::vector<Effect>& effects) {
  const FileState& after = change.after;
  if (after.type == FileType::absent || after.type == FileType::symlink) return;
  if (bit_is_new(change, kSetuid))
    effects.push_back({"setuid", "is setuid after the script, mode " + octal(after.mode)});
  if (bit_is_new(change, kSetgid))
    effects.push_back({"setgid", "is setgid after the script, mode " + octal(after.mode)});
  const std::string capability = xattr(after, "security.capability");
  if (!capability.empty() && (capability != xattr(change.before, "security.capability") || change.content_changed)) {
    effects.push_back({"file_capabilities", "has file capabilities after the script"});
  }
  if (after.type == FileType::character_device || after.type == FileType::block_device) {
    effects.push_back({"device_node", "is a device node after the script"});
  }
}

void add_places(const Change& change, const std::string& path, std::vector<Effect>& effects) {
  for (const Place& place : kPlaces) {
    if (!matches_glob(place.glob, path)) continue;
    const bool listed = std::any_of(effects.begin(), effects.end(),
                                    [&](const Effect& effect) { return effect.of_class == place.of_class; });
    if (!listed) effects.push_back({std::string(place.of_class), "is one of " + std::string(place.glob)});
  }
  if (change.after.type == FileType::absent) return;
  if (matches_any(kHostTrustGlobs, path)) {
    effects.push_back({"authorized_keys", "lets other hosts in without a password"});
  }
}

// Programs and libraries are changed by installing packages, never by writing into them; a rule that
// names /usr/bin/sudo to audit it does not want it replaced.
void add_system_program(const Change& change, const std::string& path, std::vector<Effect>& effects) {
  const bool writes = change.content_changed || change.before.type != change.after.type;
  if (!writes || change.after.type == FileType::absent || change.after.type == FileType::directory) return;
  if (!matches_any(kProgramGlobs, path) || matches_any(kNoPrograms, path)) return;
  effects.push_back({"system_program", "is a program, a library or a boot file whose content changed"});
}

void add_accounts(const Change& change, const ChangeSet& set, const std::string& path, std::vector<Effect>& effects) {
  if (path != "/etc/passwd" || change.after.type == FileType::absent) return;
  if (change.after.type != FileType::regular) {
    effects.push_back({"uid0_account", "is not a regular file any more, so its accounts cannot be read"});
    return;
  }
  if (!change.content_changed && change.before.type == FileType::regular) return;
  if (auto found = new_superuser(change, set)) effects.push_back({"uid0_account", std::move(*found)});
}

}  // namespace

bool is_effect_class(std::string_view name) {
  return std::find(kEffectClasses.begin(), kEffectClasses.end(), name) != kEffectClasses.end();
}

bool only_narrows(const Change& change) {
  const FileState& before = change.before;
  const FileState& after = change.after;
  if (change.content_changed || before.type != after.type || before.type == FileType::absent) return false;
  if (before.xattrs != after.xattrs) return false;
  const bool owner_kept = after.uid == before.uid || after.uid == 0;
  const bool group_kept = after.gid == before.gid || after.gid == 0;
  return owner_kept && group_kept && (after.mode & ~before.mode & 06777u) == 0;
}

std::vector<Effect> effects_of(const Change& change, const ChangeSet& change_set) {
  std::vector<Effect> effects;
  const std::string path = canonical_path(change.path);
  add_privilege_bits(change, effects);
  if (only_narrows(change)) return effects;
  add_places(change, path, effects);
  add_system_program(change, path, effects);
  add_accounts(change, change_set, path, effects);
  return effects;
}

}  // namespace gf
