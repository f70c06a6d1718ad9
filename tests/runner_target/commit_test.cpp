// Commits, conflicts, roll-backs and locks.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "tests/runner_target/small_target.h"

using namespace gf;
using namespace gf::test;

namespace {

constexpr const char* kManyChanges = R"(
echo changed > /etc/issue; chown 3:4 /etc/issue
chmod 4755 /etc/conf.d/a
rm /etc/conf.d/b
mkdir -p /etc/x/y; echo z > /etc/x/y/z; ln /etc/x/y/z /etc/x/z2; ln -s y/z /etc/x/link; mkfifo /etc/x/pipe
rm -r /etc/swap; echo file > /etc/swap
rm /etc/swap2; mkdir /etc/swap2; echo 1 > /etc/swap2/one
chmod 750 /var/log
)";

void prepare(SmallTarget& lab) {
  lab.write("/etc/swap/inner/deep", "deep");
  lab.write("/etc/swap2", "plain");
}

}  // namespace

TEST_CASE("a_commit_makes_the_target_what_the_trial_was_and_a_roll_back_what_it_was") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  prepare(lab);
  ::setxattr((lab.root() / "etc/conf.d/b").c_str(), "security.gf", "1", 1, 0);
  const auto before = snapshot(lab.root());
  const CommitResult result = commit_script(lab.target(), kManyChanges);
  INFO(result.reason);
  REQUIRE(result.kind == CommitResult::Kind::committed);
  const auto after = snapshot(lab.root());
  CHECK(lab.read("/etc/issue") == "changed\n");
  CHECK(lab.read("/etc/swap") == "file\n");
  CHECK(lab.read("/etc/swap2/one") == "1\n");
  CHECK(after.at("/etc/conf.d/a").starts_with("regular file 4755 0:0"));
  CHECK(std::filesystem::hard_link_count(lab.root() / "etc/x/y/z") == 2);
  // The trial shows nothing more: the target is what it was.
  const auto trial = lab.target().branch();
  CHECK(in_words(changes_of(*trial)).empty());
  CHECK(lab.target().recover().kind == Recovery::Kind::nothing_open);

  REQUIRE(lab.target().commits_of("run").size() == 1);
  CHECK(lab.target().commits_of("run")[0].commit_id == result.receipt.commit_id);
  CHECK(lab.target().commits_of("ru").empty());
  lab.target().roll_back(result.receipt);
  CHECK(snapshot(lab.root()) == before);
  CHECK(lab.target().commits_of("run").empty());
  CHECK(error_of([&] { lab.target().roll_back(result.receipt); }).code() == Code::target);
}

TEST_CASE("a_file_that_changed_since_the_trial_is_a_conflict_and_nothing_is_done") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const std::vector<std::function<void()>> meddle = {
      [&] { lab.write("/etc/issue", "somebody else"); },
      [&] { std::filesystem::remove(lab.root() / "etc/issue"); },
      [&] { std::filesystem::permissions(lab.root() / "etc/issue", std::filesystem::perms::owner_read); },
      [&] { lab.write("/etc/new", "somebody else"); },
      [&] { lab.write("/etc/conf.d/c", "new in a removed folder"); },
      [&] {
        std::filesystem::rename(lab.root() / "etc", lab.root() / "real"),
            std::filesystem::create_symlink("/etc", lab.root() / "etc");
      }};
  for (const auto& change : meddle) {
    lab.write("/etc/issue", "hello\n");
    std::filesystem::remove(lab.root() / "etc/new");
    const auto trial = lab.target().branch();
    REQUIRE(run(*trial, "echo changed > /etc/issue; echo new > /etc/new; rm -r /etc/conf.d").exit_code == 0);
    const ApprovedChanges changes = approved(changes_of(*trial));
    change();
    const auto before = snapshot(lab.root());
    const CommitResult result = lab.target().commit(*trial, changes, "run");
    CHECK(result.kind == CommitResult::Kind::conflict);
    CHECK_FALSE(result.reason.empty());
    CHECK(snapshot(lab.root()) == before);
    std::filesystem::remove(lab.root() / "etc/conf.d/c");
  }
  CHECK(lab.target().commits_of("run").empty());
}

TEST_CASE("a_change_between_copy_up_and_reading_is_a_conflict") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  run(*trial, "echo changed > /etc/issue");
  lab.write("/etc/issue", "somebody else");
  const CommitResult result = lab.target().commit(*trial, approved(changes_of(*trial)), "run");
  CHECK(result.kind == CommitResult::Kind::conflict);
  CHECK(lab.read("/etc/issue") == "somebody else");
}

TEST_CASE("a_log_that_grew_keeps_its_lines_when_its_mode_changes") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  lab.write("/var/log/messages", "one\n");
  const auto trial = lab.target().branch();
  run(*trial, "chmod 600 /var/log/messages");
  std::ofstream(lab.root() / "var/log/messages", std::ios::app) << "two\n";
  const ChangeSet set = changes_of(*trial);
  REQUIRE(in_words(set) == "/var/log/messages metadata");
  const ApprovedChanges changes = approved(set);
  std::ofstream(lab.root() / "var/log/messages", std::ios::app) << "three\n";
  const CommitResult result = lab.target().commit(*trial, changes, "run");
  INFO(result.reason);
  REQUIRE(result.kind == CommitResult::Kind::committed);
  CHECK(lab.read("/var/log/messages") == "one\ntwo\nthree\n");
  CHECK(snapshot(lab.root()).at("/var/log/messages").starts_with("regular file 0600"));
  std::ofstream(lab.root() / "var/log/messages", std::ios::app) << "four\n";
  lab.target().roll_back(result.receipt);
  CHECK(lab.read("/var/log/messages") == "one\ntwo\nthree\nfour\n");
  CHECK(snapshot(lab.root()).at("/var/log/messages").starts_with("regular file 0644"));
}

TEST_CASE("a_roll_back_refuses_a_file_that_changed_since_and_touches_nothing") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const CommitResult result = commit_script(lab.target(), "echo changed > /etc/issue; echo new > /etc/new");
  REQUIRE(result.kind == CommitResult::Kind::committed);
  lab.write("/etc/new", "somebody else");
  const auto before = snapshot(lab.root());
  const Error error = error_of([&] { lab.target().roll_back(result.receipt); });
  CHECK(error.code() == Code::target);
  CHECK(error.message().find("/etc/new") != std::string::npos);
  CHECK(snapshot(lab.root()) == before);
}

TEST_CASE("changes_that_are_not_the_trials_last_are_refused") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto trial = lab.target().branch();
  run(*trial, "echo one > /etc/issue");
  const ApprovedChanges changes = approved(changes_of(*trial));
  run(*trial, "echo two > /etc/issue");
  CHECK(error_of([&] { lab.target().commit(*trial, changes, "run"); }).code() == Code::forbidden);
  changes_of(*trial);
  CHECK(error_of([&] { lab.target().commit(*trial, changes, "run"); }).code() == Code::forbidden);
  CHECK(lab.read("/etc/issue") == "hello\n");
}

TEST_CASE("protected_paths_are_never_committed_to") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  TargetConfig config = lab.config();
  config.protected_paths = {lab.root() / "etc/conf.d/a"};
  const auto target = Target::open(config, lab.launcher());
  for (const char* script : {"echo x > /etc/conf.d/a", "rm -r /etc/conf.d", "chmod 600 /etc/conf.d/a"}) {
    const auto trial = target->branch();
    run(*trial, script);
    const ApprovedChanges changes = approved(changes_of(*trial));
    CHECK(error_of([&] { target->commit(*trial, changes, "run"); }).code() == Code::forbidden);
  }
}

TEST_CASE("times_follow_the_trial_for_content_and_stay_for_metadata") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto mtime = [&](const char* path) {
    struct stat status {};
    ::lstat((lab.root().native() + path).c_str(), &status);
    return status.st_mtim.tv_sec;
  };
  const auto old = mtime("/etc/conf.d/a");
  REQUIRE(commit_script(lab.target(), "echo x > /etc/issue; touch -d @1000000000 /etc/issue; chmod 600 /etc/conf.d/a")
              .kind == CommitResult::Kind::committed);
  CHECK(mtime("/etc/issue") == 1000000000);
  CHECK(mtime("/etc/conf.d/a") == old);
}

TEST_CASE("a_second_name_of_a_file_keeps_what_it_had") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  std::filesystem::create_hard_link(lab.root() / "etc/issue", lab.root() / "etc/issue2");
  REQUIRE(commit_script(lab.target(), "chmod 600 /etc/issue").kind == CommitResult::Kind::committed);
  const auto now = snapshot(lab.root());
  CHECK(now.at("/etc/issue").starts_with("regular file 0600"));
  CHECK(now.at("/etc/issue2").starts_with("regular file 0644"));
  CHECK(lab.read("/etc/issue") == "hello\n");
}

TEST_CASE("names_that_are_not_text_are_committed_and_taken_back") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const auto before = snapshot(lab.root());
  const CommitResult result = commit_script(lab.target(), "echo x > $'/etc/\\xff\\xfe'; ln -s $'\\xff' $'/etc/l\\n'");
  REQUIRE(result.kind == CommitResult::Kind::committed);
  CHECK(std::filesystem::exists(lab.root() / "etc/\xff\xfe"));
  lab.target().roll_back(result.receipt);
  CHECK(snapshot(lab.root()) == before);
}

TEST_CASE("a_second_open_is_refused_by_state_folder_and_by_target") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  lab.target();
  const auto before = snapshot(lab.folder() / "state");
  CHECK(error_of([&] { Target::open(lab.config(), lab.launcher()); }).code() == Code::locked);
  TargetConfig other = lab.config();
  other.state_folder = lab.folder() / "state2";
  CHECK(error_of([&] { Target::open(other, lab.launcher()); }).code() == Code::locked);
  std::filesystem::create_directory_symlink(lab.root(), lab.folder() / "other-name");
  other.path = lab.folder() / "other-name";
  CHECK(error_of([&] { Target::open(other, lab.launcher()); }).code() == Code::locked);
  CHECK(snapshot(lab.folder() / "state") == before);
  lab.close();
  CHECK(Target::open(lab.config(), lab.launcher()) != nullptr);
}

TEST_CASE("targets_that_cannot_be_one_are_refused") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  TargetConfig config = lab.config();
  config.path = "/";
  CHECK(error_of([&] { Target::open(config, lab.launcher()); }).code() == Code::input);
  config.path = lab.root() / "etc/issue";
  CHECK(error_of([&] { Target::open(config, lab.launcher()); }).code() == Code::target);
  config.path = "/proc/self";
  CHECK(error_of([&] { Target::open(config, lab.launcher()); }).code() == Code::target);
  config = lab.config();
  config.kind = TargetConfig::Kind::host;
  CHECK(error_of([&] { Target::open(config, lab.launcher()); }).code() == Code::input);
}
