// Takes commits back, and decides what becomes of one that was cut short. Everything is decided from
// what is on disk, and may itself be cut short and begun again.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "runner/commit_intent.h"
#include "runner/commit_process.h"

namespace gf {

// What was found: nothing, or a file that is neither as before nor as intended ("/etc/x: expected
// ..., found ..."). after_a_crash: a change of metadata may be half done.
enum class Expect { whole, after_a_crash };
std::optional<std::string> obstacle_to_undo(const Fd& target, const Intent& intent, Expect expect);
bool is_all_done(const Fd& target, const Intent& intent);

// Puts everything back. Call obstacle_to_undo() first.
void undo_commit(const Fd& target, const Fd& commit_folder, const Intent& intent, const CommitHook& hook);
// Temporary entries that a commit or an undo left behind.
void remove_temporaries(const Fd& target, const Intent& intent);
void sync_folders(const Fd& target, const Intent& intent);

// Durable markers: "done", "undo", "undone".
void mark(const Fd& commit_folder, const char* marker);

struct Recovered {
  enum class Kind { nothing_open, rolled_back, completed } kind = Kind::nothing_open;
  std::string commit_id;
  std::string rule_id;
};
// Resolves the open commit, if there is one. Throws Code::recovery.
Recovered recover_commits(const Fd& target, const Fd& commits, const CommitHook& hook = {});

// undo, with its marker before and after. Throws Code::target with nothing touched.
void roll_back_commit(const Fd& target, const Fd& commits, const std::string& commit_id, const CommitHook& hook = {});

}  // namespace gf
