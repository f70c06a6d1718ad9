#include "engine/scheduler.h"

#include <algorithm>

namespace gf {
namespace {

void add_rows(Planned& plan, Sequence& sequence, KvCache& cache, int64_t count) {
  cache.prepare(sequence.slot, sequence.processed, sequence.processed + count);
  for (int64_t i = 0; i < count; ++i) {
    plan.step.tokens.push_back(sequence.tokens[static_cast<size_t>(sequence.processed)]);
    plan.step.positions.push_back(static_cast<int32_t>(sequence.processed));
    plan.step.sequences.push_back(sequence.slot);
    ++sequence.processed;
  }
  if (sequence.unprocessed() > 0) return;
  plan.step.wanted.push_back(static_cast<int32_t>(plan.step.tokens.size()) - 1);
  plan.wanted.push_back(&sequence);
}

}  // namespace

Planned plan_step(const Sequences& active, KvCache& cache, int64_t step_tokens) {
  Planned plan;
  // Give back what fell out of the windows first: the pool is counted for that.
  for (const auto& sequence : active) cache.prepare(sequence->slot, sequence->processed, sequence->processed);
  int64_t room = step_tokens;
  for (const auto& sequence : active) {
    if (sequence->unprocessed() != 1 || room == 0) continue;
    add_rows(plan, *sequence, cache, 1);
    --room;
  }
  for (const auto& sequence : active) {
    const int64_t count = std::min(room, sequence->unprocessed());
    if (count == 0) continue;
    add_rows(plan, *sequence, cache, count);
    room -= count;
  }
  return plan;
}

}  // namespace gf
