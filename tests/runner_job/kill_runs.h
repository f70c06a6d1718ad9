// Apply runs that are killed at random moments, and what must be true after `gf-run recover`.
#pragma once

#include <cstdint>
#include <string>

namespace gf::test {

struct KillCounts {
  int rounds = 0;
  int cut_short = 0;  // rounds in which the run had not ended by itself
  int recovered = 0;  // of these, rounds in which a commit was open
};

// Each round begins with a fresh target, kills the run (gf-run alone, or every process of it, in turn), and
// recovers. Throws Error where the target is not exactly a committed state, or where the next run does not
// finish the work.
KillCounts kill_runs(int rounds, uint64_t seed);

}  // namespace gf::test
