// SIGKILL at every step of a commit and of a recovery, and at random moments of everything: after
// recover() the target is exactly as before or exactly as committed.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <thread>

#include "runner/commit_process.h"
#include "runner/recover.h"
#include "runner/trial_keeper.h"
#include "tests/runner_target/small_target.h"

using namespace gf;
using namespace gf::test;

namespace {

// The commit process is forked from the launcher, which is forked from the test: it sees this value as
// it was when the launcher started.
int steps_to_live = -1;

void die_at_step(int& left) {
  if (left-- == 0) ::raise(SIGKILL);
}

int dying_commit(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds) {
  int left = steps_to_live;
  return commit_main(channel, request, fds, [&](std::string_view) { die_at_step(left); });
}

// What somebody else does while a commit is made: at the first step, before anything is renamed, or
// at the first rename, when part of it is done.
std::string meddle_at;
std::string meddle_with;

int meddled_commit(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds) {
  bool done = false;
  return commit_main(channel, request, fds, [&](std::string_view step) {
    if (done || step != meddle_at) return;
    done = true;
    write_all(open_file(meddle_with, O_WRONLY | O_CREAT | O_APPEND, 0644), as_bytes("somebody else\n"), "a test");
  });
}

constexpr const char* kScript = R"(
echo changed > /etc/issue; chown 3:4 /etc/issue
chmod 4755 /etc/conf.d/a
rm /etc/conf.d/b
mkdir -p /etc/x/y; echo z > /etc/x/y/z
rm -r /etc/swap; echo file > /etc/swap
rm /etc/swap2; mkdir /etc/swap2; echo 1 > /etc/swap2/one
)";

struct Sides {
  std::map<std::string, std::string> before;
  std::map<std::string, std::string> after;
};

void prepare(SmallTarget& lab) {
  lab.write("/etc/swap/inner/deep", "deep");
  lab.write("/etc/swap2", "plain");
}

Sides both_sides(SmallTarget& lab) {
  Sides sides;
  sides.before = snapshot(lab.root() / "etc");
  const CommitResult result = commit_script(lab.target(), kScript);
  REQUIRE(result.kind == CommitResult::Kind::committed);
  sides.after = snapshot(lab.root() / "etc");
  lab.target().roll_back(result.receipt);
  REQUIRE(snapshot(lab.root() / "etc") == sides.before);
  return sides;
}

std::unique_ptr<Target> open_when_free(SmallTarget& lab) {
  // A commit process that outlives its parents holds the locks until it is done.
  for (int attempt = 0; attempt < 2000; ++attempt) try {
      return Target::open(lab.config(), lab.launcher());
    } catch (const Error& error) {
      if (error.code() != Code::locked) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  return nullptr;
}

// Recovers in a child that dies at step n of it; false if it came through.
bool recovery_dies_at(SmallTarget& lab, int step) {
  const pid_t child = ::fork();
  if (child == 0) {
    int left = step;
    const Fd target = open_directory(lab.root());
    const Fd commits = open_directory(lab.state() / "commits");
    recover_commits(target, commits, [&](std::string_view) { die_at_step(left); });
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_CASE("a_commit_killed_at_any_step_is_recovered_to_before_or_after") {
  GF_NEEDS_TRIALS;
  steps_to_live = -1;
  SmallTarget lab;
  prepare(lab);
  const Sides sides = both_sides(lab);
  lab.close();
  bool came_through = false;
  int rolled_back = 0;
  int completed = 0;
  for (int step = 0; !came_through && step < 100; ++step) {
    steps_to_live = step;
    const std::vector<EntryPoint> entries = {{"trial", &trial_main}, {"commit", &dying_commit}};
    const auto launcher = Launcher::start(entries);
    std::string committed;
    {
      const auto target = Target::open(lab.config(), *launcher);
      try {
        const CommitResult result = commit_script(*target, kScript);
        REQUIRE(result.kind == CommitResult::Kind::committed);
        committed = result.receipt.commit_id;
      } catch (const Error& error) {
        CHECK(error.code() == Code::io);
      }
      // commit() recovered at once, in the same process.
      CHECK(target->recover().kind == Recovery::Kind::nothing_open);
      CHECK(snapshot(lab.root() / "etc") == (committed.empty() ? sides.before : sides.after));
      (committed.empty() ? rolled_back : completed)++;
      if (!committed.empty()) target->roll_back(committed);
    }
    came_through = completed >= 3;  // killed after "applied", after "done", and not at all
  }
  CHECK(came_through);
  CHECK(rolled_back > 10);
}

TEST_CASE("a_recovery_killed_at_any_step_is_finished_by_the_next") {
  GF_NEEDS_TRIALS;
  steps_to_live = -1;
  SmallTarget lab;
  prepare(lab);
  const Sides sides = both_sides(lab);
  const CommitResult result = commit_script(lab.target(), kScript);
  lab.close();
  const std::filesystem::path folder = lab.state() / "commits" / result.receipt.commit_id;
  // Committed whole, and a decided roll-back is killed again and again.
  write_all(open_file(folder / "undo", O_WRONLY | O_CREAT, 0600), {}, "undo");
  int deaths = 0;
  for (int step = 0; recovery_dies_at(lab, step % 3 + step / 8); ++step) {
    ++deaths;
    REQUIRE(deaths < 200);
  }
  CHECK(deaths > 3);
  CHECK(snapshot(lab.root() / "etc") == sides.before);
  CHECK(std::filesystem::exists(folder / "undone"));
}

TEST_CASE("everything_killed_at_random_moments_leaves_the_target_before_or_after") {
  GF_NEEDS_TRIALS;
  steps_to_live = -1;
  SmallTarget lab;
  prepare(lab);
  const Sides sides = both_sides(lab);
  lab.close();
  std::mt19937 random(20);
  int before = 0;
  int after = 0;
  for (int round = 0; round < 40; ++round) {
    // Its own process group for the runner; launcher and children are killed by their numbers.
    const pid_t runner = ::fork();
    if (runner == 0) {
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      try {
        const std::vector<EntryPoint> entries = {{"trial", &trial_main}, {"commit", &dying_commit}};
        const auto launcher = Launcher::start(entries);
        const auto target = Target::open(lab.config(), *launcher);
        target->recover();
        for (int i = 0; i < 50; ++i) {
          const CommitResult result = commit_script(*target, kScript, "loop");
          if (result.kind == CommitResult::Kind::committed) target->roll_back(result.receipt);
        }
      } catch (const Error&) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution<int>(1000, 150000)(random)));
    if (round % 2 == 0) {
      // The commit process as well, before its parent can tell it anything.
      std::function<void(const std::string&)> kill_below = [&](const std::string& pid) {
        std::string text;
        try {
          const Fd file = open_file("/proc/" + pid + "/task/" + pid + "/children", O_RDONLY);
          char buffer[256];
          const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
          if (got > 0) text.assign(buffer, static_cast<size_t>(got));
        } catch (const Error&) {
        }
        for (size_t at = 0; at < text.size();) {
          const size_t space = std::min(text.find(' ', at), text.size());
          const std::string child = text.substr(at, space - at);
          at = space + 1;
          if (child.empty()) continue;
          ::kill(std::stoi(child), SIGSTOP);
          kill_below(child);
          ::kill(std::stoi(child), SIGKILL);
        }
      };
      ::kill(runner, SIGSTOP);
      kill_below(std::to_string(runner));
    }
    ::kill(runner, SIGKILL);
    ::waitpid(runner, nullptr, 0);
    const auto target = open_when_free(lab);
    REQUIRE(target != nullptr);
    target->recover();
    const auto now = snapshot(lab.root() / "etc");
    CHECK((now == sides.before || now == sides.after));
    for (const Receipt& receipt : target->commits_of("loop")) {
      CHECK(now == sides.after);
      target->roll_back(receipt);
      ++after;
    }
    if (now == sides.before) ++before;
    CHECK(snapshot(lab.root() / "etc") == sides.before);
  }
  CHECK(before + after >= 40);
}

TEST_CASE("recovery_names_a_file_that_is_neither_before_nor_after") {
  GF_NEEDS_TRIALS;
  steps_to_live = -1;
  SmallTarget lab;
  const CommitResult result = commit_script(lab.target(), "echo changed > /etc/issue; echo new > /etc/new");
  lab.close();
  std::filesystem::remove(lab.state() / "commits" / result.receipt.commit_id / "done");
  lab.write("/etc/issue", "somebody else");
  const auto before = snapshot(lab.root());
  const Error error = error_of([&] { lab.target().recover(); });
  CHECK(error.code() == Code::recovery);
  CHECK(error.message().find("/etc/issue") != std::string::npos);
  CHECK(snapshot(lab.root()) == before);
  lab.write("/etc/issue", "hello\n");
  const Recovery recovery = lab.target().recover();
  CHECK(recovery.kind == Recovery::Kind::rolled_back);
  CHECK(recovery.rule_id == "rule");
  CHECK_FALSE(std::filesystem::exists(lab.root() / "etc/new"));
}

TEST_CASE("a_whole_commit_without_its_marker_is_completed") {
  GF_NEEDS_TRIALS;
  steps_to_live = -1;
  SmallTarget lab;
  const CommitResult result = commit_script(lab.target(), "echo changed > /etc/issue");
  std::filesystem::remove(lab.state() / "commits" / result.receipt.commit_id / "done");
  const Recovery recovery = lab.target().recover();
  CHECK(recovery.kind == Recovery::Kind::completed);
  CHECK(recovery.commit_id == result.receipt.commit_id);
  CHECK(lab.target().commits_of("run").size() == 1);
}

TEST_CASE("a_file_that_changes_while_the_commit_is_made_keeps_the_change_and_all_else_is_undone") {
  GF_NEEDS_TRIALS;
  for (const char* step : {"intent", "staged", "renamed"}) {
    TemporaryFolder outside;
    meddle_at = step;
    std::unique_ptr<SmallTarget> lab;
    // The launcher sees the path only if it is known before it starts.
    const std::filesystem::path link = outside / "meddle";
    meddle_with = link.native();
    lab = std::make_unique<SmallTarget>(std::vector<EntryPoint>{{"trial", &trial_main}, {"commit", &meddled_commit}});
    lab->write("/etc/zz", "last\n");
    std::filesystem::create_symlink(lab->root() / "etc/zz", link);
    auto expected = snapshot(lab->root());
    const CommitResult result =
        commit_script(lab->target(), "echo x > /etc/issue; rm /etc/conf.d/a; echo y >> /etc/zz; echo n > /etc/new");
    CHECK(result.kind == CommitResult::Kind::conflict);
    CHECK(result.reason.find("/etc/zz") != std::string::npos);
    CHECK(lab->read("/etc/zz") == "last\nsomebody else\n");
    auto now = snapshot(lab->root());
    now.erase("/etc/zz");
    expected.erase("/etc/zz");
    CHECK(now == expected);
    CHECK(lab->target().recover().kind == Recovery::Kind::nothing_open);
  }
}
