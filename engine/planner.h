// How many bytes an engine will hold, from the config and the headers alone: nothing is read or
// allocated. Engine::load allocates exactly this (a test compares).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace gf {

struct MemoryPlan {
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;         // all sequences, full
  uint64_t workspace_bytes = 0;  // activations of one step, logits
  [[nodiscard]] uint64_t total() const { return weight_bytes + kv_bytes + workspace_bytes; }
};

// Throws what Engine::load throws about names, shapes and formats.
MemoryPlan plan_memory(const ModelConfig& config, const WeightsSource& weights, const EngineOptions& options);

}  // namespace gf
