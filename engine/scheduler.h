// Which rows go into the next step: first one row of every sequence that is writing, then pieces of prompts,
// in the order of arrival, up to the step's size.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/gemma4.h"

namespace gf {

// One request on its way. The engine's thread writes; `result`, `finished` and `failure` under its lock.
struct Sequence {
  GenerateRequest request;
  std::vector<int32_t> tokens;  // the prompt, then what was written
  int64_t processed = 0;        // of them are in the cache
  int32_t slot = -1;            // in the cache; -1: not admitted yet
  std::atomic<bool> cancelled = false;

  GenerateResult result;
  bool finished = false;
  std::exception_ptr failure;
  std::condition_variable changed;

  [[nodiscard]] int64_t unprocessed() const { return static_cast<int64_t>(tokens.size()) - processed; }
};
using Sequences = std::vector<std::shared_ptr<Sequence>>;

struct Planned {
  Step step;
  std::vector<Sequence*> wanted;  // whose logits row i of the step's wanted rows is
};

// Prepares the cache, advances `processed`. `active` is in the order of arrival; step_tokens >= its size.
Planned plan_step(const Sequences& active, KvCache& cache, int64_t step_tokens);

}  // namespace gf
