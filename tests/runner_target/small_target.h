// A small root with a shell in it, and everything around it that a trial needs.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/change_set.h"
#include "policy/gate.h"
#include "runner/launcher.h"
#include "runner/target.h"
#include "tests/support/catch.h"

namespace gf::test {

// True if this process may make namespaces and mounts; else the tests here are skipped.
bool can_make_trials();
#define GF_NEEDS_TRIALS \
  if (!gf::test::can_make_trials()) GF_SKIP("needs root and the right to make namespaces")

class SmallTarget {
 public:
  // Without entries of its own: the program's "trial" and "commit".
  explicit SmallTarget(std::vector<EntryPoint> entries = {});

  [[nodiscard]] std::filesystem::path root() const { return folder_ / "target"; }
  [[nodiscard]] std::filesystem::path state() const { return folder_ / "state"; }
  [[nodiscard]] std::filesystem::path folder() const { return folder_.path(); }
  [[nodiscard]] TargetConfig config() const;
  Launcher& launcher() { return *launcher_; }
  Target& target();  // opened at the first call
  void close() { target_.reset(); }

  void write(const std::string& path, const std::string& text, unsigned mode = 0644);
  [[nodiscard]] std::string read(const std::string& path) const;

 private:
  TemporaryFolder folder_;
  std::vector<EntryPoint> entries_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<Target> target_;
};

// Through a gate whose policy grants everything.
ApprovedScript approved(const std::string& script);
ApprovedChanges approved(const ChangeSet& changes);
ScriptResult run(Trial& trial, const std::string& script);
ChangeSet changes_of(Trial& trial, std::vector<std::string> named = {});
// branch, run (which must end with 0), commit.
CommitResult commit_script(Target& target, const std::string& script, const std::string& run_id = "run");

// One line for each entry of a tree: type, mode, owner, content, attributes.
std::map<std::string, std::string> snapshot(const std::filesystem::path& root);
// "/etc/a created, /etc/b content" ...
std::string in_words(const ChangeSet& changes);

}  // namespace gf::test
