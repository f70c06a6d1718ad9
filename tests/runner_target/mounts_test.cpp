// Targets with file systems mounted in them, and the machine itself as a target.
#include <sys/mount.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "tests/runner_target/small_target.h"

using namespace gf;
using namespace gf::test;

namespace {

// Mounted for the life of the object.
class Mounted {
 public:
  Mounted(const char* source, std::filesystem::path point, const char* type, unsigned long flags)
      : point_(std::move(point)) {
    std::filesystem::create_directories(point_);
    if (::mount(source, point_.c_str(), type, flags, nullptr) != 0)
      throw system_error(errno, "cannot mount for a test");
  }
  ~Mounted() { ::umount2(point_.c_str(), MNT_DETACH); }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

 private:
  std::filesystem::path point_;
};

double milliseconds(const std::function<void()>& act) {
  const auto start = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("each_mounted_local_file_system_gets_an_overlay_and_is_committed_to") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const Mounted data("tmpfs", lab.root() / "srv/data", "tmpfs", MS_NODEV);
  const Mounted inner("tmpfs", lab.root() / "srv/data/in ner", "tmpfs", 0);
  lab.write("/srv/data/file", "one\n");
  lab.write("/srv/data/in ner/file", "two\n");
  const auto before = snapshot(lab.root());
  const CommitResult result = commit_script(
      lab.target(), "cat /srv/data/file; echo new >> /srv/data/file; echo x > '/srv/data/in ner/x'; echo y > /srv/y");
  REQUIRE(result.kind == CommitResult::Kind::committed);
  CHECK(lab.read("/srv/data/file") == "one\nnew\n");
  CHECK(lab.read("/srv/data/in ner/x") == "x\n");
  CHECK(lab.read("/srv/y") == "y\n");
  lab.target().roll_back(result.receipt);
  CHECK(snapshot(lab.root()) == before);
  lab.close();
}

TEST_CASE("a_read_only_or_unlisted_file_system_is_visible_and_cannot_be_changed") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  const Mounted fixed("tmpfs", lab.root() / "srv/fixed", "tmpfs", MS_RDONLY);
  const Mounted unlisted("ramfs", lab.root() / "srv/ram", "ramfs", 0);
  const Mounted kernel("none", lab.root() / "srv/kernel", "mqueue", 0);
  lab.write("/srv/ram/file", "seen\n");
  const auto trial = lab.target().branch();
  const ScriptResult result = run(*trial,
                                  "cat /srv/ram/file; for d in fixed ram kernel; do echo x 2>/dev/null > /srv/$d/x || "
                                  "echo refused; done; chmod 700 /srv/ram 2>/dev/null || echo refused");
  CHECK(result.output.find("seen\n") == 0);
  CHECK(std::count(result.output.begin(), result.output.end(), 'd') == 4);
  CHECK(in_words(changes_of(*trial)).empty());
}

TEST_CASE("the_machine_itself_can_be_tried_and_stays_as_it_is") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  TargetConfig config = lab.config();
  config.kind = TargetConfig::Kind::host;
  config.path = "/";
  const auto target = Target::open(config, lab.launcher());
  const auto trial = target->branch();
  const ScriptResult result =
      run(*trial, "test -x /bin/sh && echo x > /etc/gf-host-test && ls " + lab.state().native());
  INFO(result.output);
  CHECK(result.exit_code == 0);
  CHECK(result.output.empty());
  CHECK(in_words(changes_of(*trial)) == "/etc/gf-host-test created");
  CHECK_FALSE(std::filesystem::exists("/etc/gf-host-test"));
}

TEST_CASE("a_branch_and_a_commit_take_milliseconds") {
  GF_NEEDS_TRIALS;
  SmallTarget lab;
  lab.target();
  double branch = 1e9;
  double commit = 1e9;
  double back = 1e9;
  for (int i = 0; i < 7; ++i) {
    std::unique_ptr<Trial> trial;
    branch = std::min(branch, milliseconds([&] { trial = lab.target().branch(); }));
    run(*trial, "echo changed > /etc/issue");
    const ApprovedChanges changes = approved(changes_of(*trial));
    CommitResult result;
    commit = std::min(commit, milliseconds([&] { result = lab.target().commit(*trial, changes, "run"); }));
    REQUIRE(result.kind == CommitResult::Kind::committed);
    back = std::min(back, milliseconds([&] { lab.target().roll_back(result.receipt); }));
  }
  std::printf("branch %.1f ms, commit of one file %.1f ms, roll-back %.1f ms\n", branch, commit, back);
  // Ten times what is wanted: a busy machine is no defect, a forgotten wait is.
  CHECK(branch < 500);
  CHECK(commit < 300);
}
