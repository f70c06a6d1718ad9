// SIGKILL at random moments. GF_KILL_ROUNDS=200 GF_KILL_SEED=7 test-job 'after_a_kill*' does more of the same.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/runner_job/kill_runs.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

long setting(const char* name, long otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atol(value);
}

}  // namespace

TEST_CASE("after_a_kill_at_any_moment_the_target_is_a_committed_state_and_the_next_run_finishes", "[job]") {
  if (::geteuid() != 0) GF_SKIP("needs root: trials are made of mounts and namespaces");
  const int rounds = static_cast<int>(setting("GF_KILL_ROUNDS", 12));
  const test::KillCounts counts = test::kill_runs(rounds, static_cast<uint64_t>(setting("GF_KILL_SEED", 1)));
  std::printf("%d rounds, %d cut short, %d with an open commit\n", counts.rounds, counts.cut_short, counts.recovered);
  CHECK(counts.rounds == rounds);
  CHECK(counts.cut_short > 0);
}

}  // namespace gf
