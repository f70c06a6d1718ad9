// What is remediated: a directory tree (`root`) or the running machine (`host`, one overlay per
// mounted local file system). Nothing is ever tried on it: a Trial is an isolated copy-on-write
// branch that knows exactly which files changed, and commit() brings those changes, after the gate
// has approved them, to the target, whole or not at all, also through a power cut.
//
// State folder, readable by root alone:
//   lock                      held by the run
//   locks/target-DEV-INODE    held by the run that works on this target
//   trial/                    empty; every trial mounts its scratch tmpfs here, in its own namespace
//   commits/ID/intent.json    what was going to be done, complete, before anything was
//   commits/ID/originals      the bytes of every file that is replaced or deleted
//   commits/ID/done           the target is as intended
//   commits/ID/undo           decided: this commit is being taken back
//   commits/ID/undone         the target is as it was before this commit
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/change_set.h"
#include "policy/script_limits.h"
#include "runner/root_view.h"

namespace gf {

class ApprovedChanges;  // policy/gate.h
class ApprovedScript;
class Launcher;  // runner/launcher.h

struct TargetConfig {
  enum class Kind { root, host } kind = Kind::root;
  std::filesystem::path path = "/";                // a folder; "/" for a host
  std::filesystem::path state_folder;              // made if missing (0700)
  std::vector<std::filesystem::path> hidden;       // covered by empty mounts in every trial where inside the target
  uint64_t upper_limit_bytes = uint64_t{1} << 30;  // what one trial may write, in memory
  std::vector<std::filesystem::path>
      protected_paths;  // of this machine; a commit refuses to touch them or what they hold
};

struct ScriptResult {
  int exit_code = 0;  // 128 + N if signal N ended it, 127 if it could not be executed
  bool timed_out = false;
  std::string output;  // stdout and stderr together, valid UTF-8, redacted
  bool output_cut = false;
  double seconds = 0;
};

class Trial {
 public:
  ~Trial();  // kills what still runs in it and drops everything
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  [[nodiscard]] const RootView& view() const;

  // Runs the script as root in the sandbox of policy/sandbox.h, with a pid namespace and a /dev of
  // its own, no input, and PATH, LANG=C and HOME alone as environment. When it returns, nothing
  // that it started runs any more. A failing or slow script is a result; Error (Code::io,
  // Code::unsupported) where it could not be started.
  ScriptResult run(const ApprovedScript& script, const ScriptLimits& limits);
  // The same sandbox for a health or access check: the exit code decides. argv[0] is an absolute
  // path or a name looked up in PATH.
  ScriptResult run_check(const std::vector<std::string>& argv, const ScriptLimits& limits);

  // Exactly what differs from the target, sorted by path. Left out: rpmdb.sqlite-shm and -wal, the
  // pseudo file systems, and what a script left behind in /tmp and /var/tmp (new entries that
  // named_paths does not name; left_behind() has them). A copied-up but equal file is no change.
  // Throws Code::target for what a commit could not bring over (a FIFO or a device is a change; an
  // unreadable tree is an error).
  ChangeSet changes(std::string rule_id, Origin origin, std::vector<std::string> named_paths);
  [[nodiscard]] const std::vector<std::string>& left_behind() const;

 private:
  friend class Target;
  struct State;
  explicit Trial(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct Receipt {
  std::string commit_id;
  std::string rule_id;
  std::vector<Change> changes;
};

struct CommitResult {
  // conflict: the target changed under the trial; nothing was done, a new trial is needed.
  enum class Kind { committed, conflict } kind = Kind::conflict;
  Receipt receipt;     // of a committed one
  std::string reason;  // of a conflict: which file, what was expected
};

struct Recovery {
  enum class Kind { nothing_open, rolled_back, completed } kind = Kind::nothing_open;
  std::string commit_id;
  std::string rule_id;
};

class Target {
 public:
  // Makes the state folder and takes the locks for the life of the object. Throws Code::locked if
  // another run holds the state folder or the target (nothing was touched then), Code::target if
  // the path is no folder or lies on a file system that cannot be tried, Code::input.
  static std::unique_ptr<Target> open(const TargetConfig& config, Launcher& launcher);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  // Several may live at once. Thread safe.
  std::unique_ptr<Trial> branch();

  // Brings approved changes to the target, by a process of its own. The changes must be the trial's
  // last changes(), else Code::forbidden. Originals and the full intent are durable before the first
  // rename. Modification times: a new or replaced file has the time that it has in the trial;
  // where only metadata changes, it stays. Throws Code::no_space, Code::io: the target is as before.
  // `commit_id`: one that new_commit_id() gave for this run; left out, a new one.
  CommitResult commit(const Trial& trial, const ApprovedChanges& changes, std::string_view run_id,
                      std::string commit_id = {});

  // A commit id that was never used before, for the journal's intent.
  std::string new_commit_id(std::string_view run_id);

  // Takes a commit back in the trial's view alone: the target stays as it is. Later commits of the same
  // files must have been taken back there first. Throws Code::target.
  void undo_in(const Trial& trial, const Receipt& receipt) const;

  // Puts the saved originals back: content, mode, owner, attributes, times. Refuses (Code::target)
  // before touching anything where a file is neither as committed nor as before.
  void roll_back(const Receipt& receipt);
  void roll_back(std::string_view commit_id);

  // Commits of that run that are in force, newest first.
  [[nodiscard]] std::vector<Receipt> commits_of(std::string_view run_id) const;

  // The first act of any run: takes an interrupted commit back to exactly before, or, where all of it
  // is there, marks it done; finishes an interrupted roll-back. At most one can be open. Throws
  // Code::recovery if a file is neither as before nor as intended.
  Recovery recover();

 private:
  struct State;
  explicit Target(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gf
