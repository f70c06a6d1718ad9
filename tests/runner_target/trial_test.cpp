// Trials: what a script sees, what it cannot reach, and that nothing of it is left.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/mounts.h"
#include "runner/root_view.h"
#include "tests/runner_target/small_target.h"

using namespace gf;
using namespace gf::test;

TEST_CASE("a_script_runs_in_the_trial_and_the_target_stays_as_it_was") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto before = snapshot(lab.root());
  {
    const auto trial = lab.target().branch();
    const ScriptResult result =
        trial->run(approved("echo changed > /etc/issue\ncat /etc/issue\necho \"$HOME $LANG $PATH\" >&2\nexit 7\n"), {});
    CHECK(result.exit_code == 7);
    CHECK(result.output == "changed\n/root C /usr/sbin:/usr/bin:/sbin:/bin\n");
    CHECK_FALSE(result.timed_out);
  }
  CHECK(snapshot(lab.root()) == before);
  CHECK(std::filesystem::is_empty(lab.state() / "trial"));
}

TEST_CASE("a_script_that_runs_too_long_is_killed_with_all_that_it_started") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  ScriptLimits limits;
  limits.seconds = 1;
  const ScriptResult result =
      trial->run_check({"/bin/bash", "-c", "setsid sleep 1000 & echo begun; sleep 1000"}, limits);
  CHECK(result.timed_out);
  CHECK(result.exit_code == 128 + SIGKILL);
  CHECK(result.output == "begun\n");
  CHECK(result.seconds < 10);
}

TEST_CASE("a_daemon_left_behind_is_dead_when_the_run_returns") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  const ScriptResult result =
      run(*trial, "setsid bash -c 'while :; do echo x >> /etc/grows; done' & while [ ! -s /etc/grows ]; do :; done");
  CHECK(result.exit_code == 0);
  const ChangeSet once = changes_of(*trial);
  const ChangeSet again = changes_of(*trial);
  REQUIRE(in_words(once) == "/etc/grows created");
  CHECK(once.changes[0].after.content == again.changes[0].after.content);
}

TEST_CASE("output_is_bounded_and_said_to_be_cut") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  ScriptLimits limits;
  limits.output_bytes = 1000;
  const ScriptResult result =
      trial->run_check({"/bin/bash", "-c", "for i in {1..2000}; do echo line $i; done"}, limits);
  CHECK(result.exit_code == 0);
  CHECK(result.output_cut);
  CHECK(result.output.size() == 1000);
  CHECK(run(*trial,
            "echo "
            "root:\\$6\\$saltsalt\\$"
            "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz012345678901234567890123:1::")
            .output.find("abcdefghij") == std::string::npos);
}

TEST_CASE("a_missing_program_is_a_result_with_127") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  const ScriptResult result = trial->run_check({"/usr/bin/no-such-program"}, {});
  CHECK(result.exit_code == 127);
  CHECK(result.output.find("no-such-program") != std::string::npos);
}

TEST_CASE("a_script_cannot_leave_its_trial") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const std::filesystem::path outside = lab.folder() / "outside";
  const Fd secret = open_file(outside, O_WRONLY | O_CREAT, 0666);
  const auto trial = lab.target().branch();
  // Each line must fail; what succeeds is printed.
  const ScriptResult result = run(*trial, std::string(R"(
try() { if "$@" > /dev/null 2>&1; then echo "succeeded: $*"; fi; }
try cat )") + outside.native() + R"(
try cat ../../../../../../..)" + outside.native() +
                                              R"(
try cat /proc/1/root)" + outside.native() + R"(
try readlink /proc/1/fd/0
try readlink /proc/1/exe
try cat /proc/1/environ
try mount -t tmpfs none /mnt
try umount /proc
try umount /dev
try nsenter -t 1 -m true
try unshare -m true
try mknod /etc/disk b 8 0
try bash -c 'echo 1 > /proc/sys/kernel/printk'
try bash -c 'echo b > /proc/sysrq-trigger'
try bash -c 'echo x > /sys/kernel/uevent_helper'
try bash -c 'echo x > /sys/power/state'
try bash -c 'read -r x < /dev/mem'
try bash -c 'ls /dev/vda /dev/sda /dev/kmsg'
)");
  CHECK(result.exit_code == 0);
  CHECK(result.output == "");
  CHECK(in_words(changes_of(*trial)).empty());
}

TEST_CASE("a_script_sees_only_its_own_processes_and_a_small_dev") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  const ScriptResult result = run(*trial,
                                  "ls /dev; for p in /proc/[0-9]*; do echo ${p#/proc/}; done | head -3; echo x > "
                                  "/dev/null && head -c 1 /dev/zero > /dev/full");
  CHECK(result.output.starts_with("fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n1\n2\n"));
  CHECK(result.exit_code != 0);
}

TEST_CASE("a_link_in_place_of_a_mount_point_is_refused") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  std::filesystem::create_symlink("/etc", lab.root() / "dev");
  CHECK(error_of([&] { lab.target().branch(); }).code() == Code::target);
}

TEST_CASE("a_link_to_the_host_inside_the_target_stays_inside") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  std::filesystem::rename(lab.root() / "etc", lab.root() / "real");
  std::filesystem::create_symlink("/etc", lab.root() / "etc");  // a loop inside, the host's outside
  const auto trial = lab.target().branch();
  CHECK(run(*trial, "echo x > /etc/gf-test-file").exit_code != 0);
  CHECK_FALSE(std::filesystem::exists("/etc/gf-test-file"));
  CHECK(in_words(changes_of(*trial)).empty());
}

TEST_CASE("hidden_folders_and_files_are_empty_in_a_trial") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  lab.write("/var/lib/gf/keys/report.key", "secret");
  lab.write("/etc/gf.key", "secret", 0600);
  TargetConfig config = lab.config();
  config.hidden = {lab.root() / "var/lib/gf/keys", lab.root() / "etc/gf.key", lab.root() / "var/lib/gf/output"};
  config.state_folder = lab.root() / "var/lib/gf/state";
  const auto target = Target::open(config, lab.launcher());
  const auto trial = target->branch();
  const ScriptResult result = run(*trial,
                                  "ls /var/lib/gf/keys /var/lib/gf/state; cat /etc/gf.key; echo x > /etc/gf.key; echo "
                                  "x > /var/lib/gf/keys/y; ls /var/lib/gf/");
  CHECK(result.output.find("secret") == std::string::npos);
  CHECK(result.output.find("report.key") == std::string::npos);
  CHECK(result.output.find("locks") == std::string::npos);
  CHECK(result.output.ends_with("keys\noutput\nstate\n"));
  CHECK(in_words(changes_of(*trial)).empty());
  CHECK_FALSE(std::filesystem::exists(lab.root() / "var/lib/gf/output"));
}

TEST_CASE("an_upper_layer_that_is_full_fails_the_script_and_not_the_machine") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  TargetConfig config = lab.config();
  config.upper_limit_bytes = 1 << 20;
  const auto target = Target::open(config, lab.launcher());
  const auto trial = target->branch();
  const ScriptResult result = run(*trial, "dd if=/dev/zero of=/etc/big bs=64k count=64 2>&1");
  CHECK(result.exit_code != 0);
  CHECK(result.output.find("No space left") != std::string::npos);
}

TEST_CASE("an_evaluation_enters_the_view_and_sees_the_changed_tree") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  run(*trial, "echo changed > /etc/issue");
  const pid_t child = ::fork();
  if (child == 0) {
    enter_root_view(trial->view());
    const pid_t inner = ::fork();
    if (inner == 0) {
      const bool fine = read_text_file("/etc/issue", 100) == "changed\n" && ::getppid() == 0 &&
                        ::access("/proc/self/status", R_OK) == 0 && ::access("/dev/null", R_OK) == 0 &&
                        ::access("/proc/1/status", R_OK) == 0;
      ::_exit(fine ? 0 : 1);
    }
    int status = 1;
    ::waitpid(inner, &status, 0);
    ::_exit(WEXITSTATUS(status));
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("several_trials_live_at_once_and_do_not_see_each_other") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto one = lab.target().branch();
  const auto two = lab.target().branch();
  const auto three = lab.target().branch();
  run(*one, "echo one > /etc/issue");
  run(*two, "echo two > /etc/issue");
  CHECK(run(*one, "cat /etc/issue").output == "one\n");
  CHECK(run(*two, "cat /etc/issue").output == "two\n");
  CHECK(run(*three, "cat /etc/issue").output == "hello\n");
}

TEST_CASE("mountinfo_is_read_with_escapes_and_optional_fields") {
  const auto entries = parse_mountinfo(
      "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n"
      "31 27 0:30 / /srv/a\\040b ro,nosuid,nodev - nfs4 host:/x rw\n"
      "32 27 0:31 /x /etc/hosts rw - ext4 /dev/vda rw\n");
  REQUIRE(entries.size() == 3);
  CHECK(entries[1].point == "/srv/a b");
  CHECK(entries[1].read_only);
  CHECK(entries[1].nodev);
  CHECK(how_to_show(entries[0]) == Shown::overlay);
  CHECK(how_to_show(entries[1]) == Shown::read_only);
  CHECK(error_of([] { parse_mountinfo("27 1 254:0 / /\n"); }).code() == Code::io);
}

TEST_CASE("remote_and_unknown_file_systems_are_shown_read_only_and_kernel_ones_hidden") {
  for (const char* type : {"nfs4", "cifs", "fuse.sshfs", "9p", "ceph", "vfat", "squashfs", "never-heard-of-it"})
    CHECK(how_to_show({1, "/x", type}) == Shown::read_only);
  for (const char* type : {"autofs", "rpc_pipefs", "cgroup2"}) CHECK(how_to_show({1, "/x", type}) == Shown::hidden);
  const auto below =
      mounts_below({{1, "/", "ext4"}, {2, "/t/var", "xfs"}, {3, "/t/proc/x", "proc"}, {4, "/tt", "xfs"}}, "/t");
  REQUIRE(below.size() == 1);
  CHECK(below[0].point == "/var");
}
