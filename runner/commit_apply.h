// Brings an intent to the target: checks, saves the originals, writes the intent, stages, renames.
// runner/recover.h takes it back.
#pragma once

#include <optional>
#include <string>

#include "kernels/base/fd.h"
#include "runner/commit_intent.h"
#include "runner/commit_process.h"

namespace gf {

struct CommitFolders {
  const Fd& target;   // the target's root
  const Fd& trial;    // the trial's merged root; new content is read from there
  const Fd& commits;  // the state's commits folder
};

// Nothing: committed, and durable. A text: the target changed under the trial (which file, what was
// expected and found); the target is as it was. An Error: the target is as it was, unless its code
// is Code::recovery.
std::optional<std::string> apply_commit(const CommitFolders& folders, Intent& intent, const CommitHook& hook);

}  // namespace gf
