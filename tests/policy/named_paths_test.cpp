// What a text names, and what that covers.
#include "policy/named_paths.h"

#include <algorithm>

#include "tests/support/catch.h"

using gf::is_named;
using gf::matches_glob;
using gf::paths_named_in;

namespace {
bool finds(std::string_view text, std::string_view path) {
  const auto found = paths_named_in(text);
  return std::find(found.begin(), found.end(), path) != found.end();
}
bool named(std::string_view name, std::string_view path) {
  const std::vector<std::string> names = {std::string(name)};
  return is_named(path, names);
}
}  // namespace

TEST_CASE("paths_are_found_in_shell_text") {
  CHECK(finds("sed -i 's/a/b/' /etc/login.defs", "/etc/login.defs"));
  CHECK(finds("echo x >>/etc/issue", "/etc/issue"));
  CHECK(finds("grep -q x '/etc/my file' \"/etc/fstab\"", "/etc/fstab"));
  CHECK(finds("DIR=\"/etc/x\"\ntouch \"$DIR/y.conf\"", "/etc/x/y.conf"));
  CHECK(finds("DIR=/etc/x\nSUB=$DIR/z\ntouch ${SUB}/y", "/etc/x/z/y"));
  CHECK(finds("for f in /etc/a.conf /etc/b.conf; do sed -i d \"$f\"; done", "/etc/b.conf"));
  CHECK(finds("FILES=(\"/etc/pam.d/a\"\n  \"/etc/pam.d/b\")\n", "/etc/pam.d/b"));
  CHECK(finds("sed -i d \"/etc/ssh/sshd_config.d\"/*.conf", "/etc/ssh/sshd_config.d/*.conf"));
  CHECK(finds("cp /etc/{passwd,group} /root/x", "/etc/group"));
  CHECK(finds("printf x > /etc/a \\\n /etc/b", "/etc/b"));
  CHECK(finds("touch /etc/sudoers.d/$name", "/etc/sudoers.d/*"));
  CHECK(finds("for f in $(echo -n \"/etc/sssd/sssd.conf\"); do x; done", "/etc/sssd/sssd.conf"));
}

TEST_CASE("paths_are_found_in_prose") {
  CHECK(finds("edit the file /etc/issue. Then reboot", "/etc/issue"));
  CHECK(finds("the system's setting (see /etc/security/limits.conf), and", "/etc/security/limits.conf"));
  CHECK(finds("as in /etc/audit/rules.d/: it", "/etc/audit/rules.d"));
}

TEST_CASE("what_is_no_path_is_not_found") {
  CHECK(paths_named_in("see https://example.org/etc/passwd for and/or 1/2").empty());
  CHECK(paths_named_in("sed '/^root/Id' > /dev/null 2>&1").empty());
  CHECK(paths_named_in("cat /etc/../root/x /proc/1/mem").empty());
  CHECK(paths_named_in("rm -rf / /* $X/y").empty());
  CHECK(!finds("[ ! -f /.dockerenv ] && [ ! -f /run/.containerenv ]", "/.dockerenv"));
  CHECK(!finds("[ ! -f /.dockerenv ] && [ ! -f /run/.containerenv ]", "/run/.containerenv"));
}

TEST_CASE("commands_name_the_files_that_they_write") {
  CHECK(finds("chage -M 60 $user", "/etc/shadow"));
  CHECK(finds("/usr/sbin/usermod -L x", "/etc/passwd"));
  CHECK(!finds("cat /etc/passwd", "/etc/shadow"));
  CHECK(finds("S='/usr/bin/systemctl'\n\"$S\" mask 'kdump.service'", "/etc/systemd/system/kdump.service"));
  CHECK(!finds("systemctl mask kdump.service", "/etc/systemd/system/sshd.service"));
}

TEST_CASE("recursive_commands_name_whole_folders") {
  CHECK(finds("chown -R root /var/log/audit", "/var/log/audit/**"));
  CHECK(finds("find -H /lib/ -perm /g+w -exec chmod g-w {} \\;", "/usr/lib/**"));
  CHECK(!finds("find /etc/audit -maxdepth 1 -exec chmod 600 {} +", "/etc/audit/**"));
  CHECK(!finds("chmod 0600 /var/log/audit", "/var/log/audit/**"));
}

TEST_CASE("a_name_covers_itself_and_what_a_folder_holds_directly") {
  CHECK(named("/etc/ssh/sshd_config", "/etc/ssh/sshd_config"));
  CHECK(!named("/etc/ssh/sshd_config", "/etc/ssh/sshd_config2"));
  CHECK(!named("/etc/ssh/sshd_config", "/etc/ssh/other"));
  CHECK(named("/etc/sysctl.d", "/etc/sysctl.d/99.conf"));
  CHECK(!named("/etc/sysctl.d", "/etc/sysctl.d/deep/99.conf"));
  CHECK(named("/etc/audit/**", "/etc/audit/rules.d/x.rules"));
  CHECK(named("/lib/x", "/usr/lib/x"));
  CHECK(named("/etc/ssh/sshd_config.d/*.conf", "/etc/ssh/sshd_config.d/a.conf"));
}

TEST_CASE("broad_folders_name_nothing_below_themselves") {
  for (const char* folder : {"/", "/etc", "/usr", "/var", "/home", "/root", "/boot", "/opt"}) {
    CAPTURE(folder);
    const std::string below = std::string(folder) == "/" ? "/file" : std::string(folder) + "/file";
    CHECK(!named(folder, below));
    CHECK(!named(std::string(folder) + "/**", below));
    CHECK(!named(std::string(folder) + "/*", below));
  }
}

TEST_CASE("backups_and_temporary_files_next_to_a_named_file_are_named") {
  for (const char* sibling : {"/etc/a.conf.bak", "/etc/a.conf~", "/etc/a.conf-", "/etc/.a.conf.swp",
                              "/etc/a.conf.aB3dE6", "/etc/sedX1y2Z3"}) {
    CAPTURE(sibling);
    CHECK(named("/etc/a.conf", sibling));
  }
  CHECK(!named("/etc/a.conf", "/etc/b.conf.bak"));
  CHECK(!named("/etc/a.conf", "/etc/a.conf.service"));
  CHECK(!named("/etc/a.conf", "/etc/x/a.conf.bak"));
}

TEST_CASE("globs_match_whole_paths") {
  CHECK(matches_glob("/etc/*.conf", "/etc/a.conf"));
  CHECK(!matches_glob("/etc/*.conf", "/etc/x/a.conf"));
  CHECK(matches_glob("/**/authorized_keys", "/home/a/.ssh/authorized_keys"));
  CHECK(matches_glob("/**/x", "/x"));
  CHECK(matches_glob("/a/**", "/a/b/c"));
  CHECK(!matches_glob("/a/**", "/a"));
  CHECK(!matches_glob("/a/**", "/ab/c"));
  CHECK(matches_glob("/rc?.d/*", "/rc3.d/S1"));
  CHECK(!matches_glob("/a", "/a/b"));
}

TEST_CASE("spellings_of_one_place_are_one_path") {
  CHECK(gf::canonical_path("//etc/./ssh//x/") == "/etc/ssh/x");
  CHECK(gf::canonical_path("/lib64/x") == "/usr/lib64/x");
  CHECK(gf::canonical_path("/library") == "/library");
  CHECK(gf::canonical_path("/var/run/x") == "/run/x");
  CHECK(gf::canonical_path("") == "/");
}

TEST_CASE("hostile_text_is_read_without_harm") {
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += "A" + std::to_string(i) + "=$A" + std::to_string(i + 1) + "/x$A" + std::to_string(i) + "\n";
  for (int i = 0; i < 300; ++i) text += "X+=(/etc/$X$X$X)\n";
  CHECK(paths_named_in(text + "touch $X/$A1 ${ $( \" ' [ {").size() <= 2000);
  CHECK(paths_named_in(std::string(100000, '/')).empty());
  CHECK(paths_named_in(std::string(100000, '$')).empty());
}
