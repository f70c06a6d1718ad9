// The list of what a script changed: exact, and nothing else on it.
#include <sys/xattr.h>

#include "tests/runner_target/small_target.h"

using namespace gf;
using namespace gf::test;

namespace {

std::string words_after(SmallTarget& lab, const std::string& script, std::vector<std::string> named = {}) {
  const auto trial = lab.target().branch();
  const ScriptResult result = run(*trial, script);
  INFO(result.output);
  CHECK(result.exit_code == 0);
  return in_words(changes_of(*trial, std::move(named)));
}

}  // namespace

TEST_CASE("each_kind_of_change_is_told_apart") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  CHECK(words_after(lab, "echo new > /etc/new") == "/etc/new created");
  CHECK(words_after(lab, "echo more >> /etc/issue") == "/etc/issue content");
  CHECK(words_after(lab, "chmod 600 /etc/issue") == "/etc/issue metadata");
  CHECK(words_after(lab, "chown 5:6 /etc/conf.d") == "/etc/conf.d metadata");
  CHECK(words_after(lab, "rm /etc/issue") == "/etc/issue deleted");
  CHECK(words_after(lab, "rm -r /etc/conf.d") == "/etc/conf.d deleted, /etc/conf.d/a deleted, /etc/conf.d/b deleted");
  CHECK(words_after(lab, "mkdir -p /etc/x/y; echo z > /etc/x/y/z") ==
        "/etc/x created, /etc/x/y created, /etc/x/y/z created");
  CHECK(words_after(lab, "ln -s /etc/issue /etc/link; mkfifo /etc/pipe") == "/etc/link created, /etc/pipe created");
  CHECK(words_after(lab, "mv /etc/issue /etc/issue.bak") == "/etc/issue deleted, /etc/issue.bak created");
  CHECK(words_after(lab, "rm /etc/issue; mkdir /etc/issue; echo 1 > /etc/issue/f") ==
        "/etc/issue content, /etc/issue/f created");
  CHECK(words_after(lab, "rm -r /etc/conf.d; echo file > /etc/conf.d") ==
        "/etc/conf.d content, /etc/conf.d/a deleted, /etc/conf.d/b deleted");
}

TEST_CASE("a_copied_up_but_equal_file_is_no_change") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  CHECK(words_after(lab, "chmod 600 /etc/issue; chmod 644 /etc/issue; touch /etc/conf.d/a").empty());
  CHECK(words_after(lab, "sed -i s/hello/hello/ /etc/issue").empty());
  CHECK(words_after(lab, "mkdir /etc/conf.d/x; rmdir /etc/conf.d/x; echo > /etc/y; rm /etc/y").empty());
}

TEST_CASE("a_folder_replaced_by_one_of_the_same_name_lists_what_went_and_what_came") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  CHECK(words_after(lab, "rm -r /etc/conf.d; mkdir /etc/conf.d; echo a > /etc/conf.d/a; echo c > /etc/conf.d/c") ==
        "/etc/conf.d/b deleted, /etc/conf.d/c created");
}

TEST_CASE("attributes_are_metadata") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  REQUIRE(::setxattr((lab.root() / "etc/issue").c_str(), "security.gf", "1", 1, 0) == 0);
  const auto trial = lab.target().branch();
  CHECK(run(*trial, "chmod 640 /etc/issue").exit_code == 0);
  const ChangeSet set = changes_of(*trial);
  REQUIRE(in_words(set) == "/etc/issue metadata");
  CHECK(set.changes[0].after.xattrs.at("security.gf") == "1");
  CHECK(set.changes[0].before.mode == 0644);
  CHECK(set.changes[0].after.mode == 0640);
}

TEST_CASE("what_rpm_queries_touch_is_no_change") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  lab.write("/var/lib/rpm/rpmdb.sqlite", "db");
  CHECK(words_after(lab, "cd /var/lib/rpm; echo x > rpmdb.sqlite-shm; echo x > rpmdb.sqlite-wal").empty());
  CHECK(words_after(lab, "echo x > /etc/rpmdb.sqlite-wal") == "/etc/rpmdb.sqlite-wal created");
}

TEST_CASE("temporary_files_are_left_behind_unless_they_are_named_or_were_there") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  lab.write("/tmp/old", "old");
  const std::string script =
      "echo x > /tmp/new; mkdir /var/tmp/d; echo x > /var/tmp/d/e; echo y > /tmp/old; mkdir /tmp/tmp-inst; chmod 000 "
      "/tmp/tmp-inst";
  CHECK(words_after(lab, script, {"/tmp/tmp-inst"}) == "/tmp/old content, /tmp/tmp-inst created");
  const auto trial = lab.target().branch();
  run(*trial, script);
  changes_of(*trial);
  CHECK(trial->left_behind() == std::vector<std::string>{"/tmp/new", "/tmp/tmp-inst", "/var/tmp/d"});
}

TEST_CASE("nothing_in_run_dev_proc_or_sys_is_a_change") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  std::filesystem::create_directories(lab.root() / "run/sshd");
  CHECK(words_after(lab, "test -d /run/sshd; echo x > /run/x; echo x > /dev/shm/x").empty());
}

TEST_CASE("the_gate_reads_the_new_and_the_old_content") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  run(*trial, "echo new > /etc/issue; ln -s /etc/shadow /etc/link; mkfifo /etc/pipe");
  const ChangeSet set = changes_of(*trial);
  CHECK(set.read_after("/etc/issue", 100) == "new\n");
  CHECK(set.read_after("/etc/issue", 2) == "ne");
  CHECK(set.read_before("/etc/issue", 100) == "hello\n");
  CHECK(set.read_after("/etc/link", 100).empty());
  CHECK(set.read_after("/etc/pipe", 100).empty());
  CHECK(set.read_after("/etc/none", 100).empty());
}
