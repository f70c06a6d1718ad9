// The table of entry points.
#include "runner/entries.h"

#include "runner/commit_process.h"
#include "runner/evaluator.h"
#include "runner/signer.h"
#include "runner/trial_keeper.h"

namespace gf {

std::span<const EntryPoint> entry_points() {
  static constexpr EntryPoint kEntries[] = {
      {"trial", trial_main},
      {kCommitEntry, static_cast<Entry>(commit_main)},
      {Evaluator::kEntry, evaluator_main},
      {"signer", signer_main},
  };
  return kEntries;
}

}  // namespace gf
