// The key-value cache: pages of 32 positions. Layers of one type share their page tables. Sliding layers
// give back pages that fell out of the window, so a sequence holds its window only; full layers keep all.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/config.h"
#include "kernels/ops.h"

namespace gf {

struct KvLimits {
  int64_t sequences = 1;
  int64_t context = 0;      // positions per sequence
  int64_t step_tokens = 0;  // new positions per step, all sequences together
};

constexpr int64_t kPageTokens = 32;

class KvCache {
 public:
  KvCache(const ModelConfig& config, Ops& ops, KvLimits limits);
  static uint64_t bytes(const ModelConfig& config, KvLimits limits, DType dtype);

  // Code::internal when all are in use.
  int32_t open_sequence();
  void close_sequence(int32_t sequence);
  // Before a step: gives back the pages that no position from `first` on can see, and makes room for
  // positions up to `end`. Call it for every sequence of a step before the step.
  void prepare(int32_t sequence, int64_t first, int64_t end);

  [[nodiscard]] KvView view(int64_t layer) const;  // of a layer that owns its KV
  [[nodiscard]] uint64_t bytes() const;
  [[nodiscard]] int64_t free_pages(LayerType type) const;

 private:
  struct Group {
    int64_t window = 0;  // 0: keeps everything
    int64_t pages = 0;
    std::vector<int32_t> free;
    std::vector<int32_t> table;        // [sequences, pages_per_sequence]; -1: no page
    std::vector<int64_t> first, last;  // pages held by each sequence: [first, last)
  };
  static int64_t page_count(int64_t window, KvLimits limits);
  void release(Group& group, int32_t sequence, int64_t until_page);
  Group& group_of(LayerType type) { return groups_[type == LayerType::full ? 1 : 0]; }
  [[nodiscard]] const Group& group_of(LayerType type) const { return groups_[type == LayerType::full ? 1 : 0]; }

  const ModelConfig& config_;
  KvLimits limits_;
  DType dtype_;
  int64_t pages_per_sequence_;
  Group groups_[2];
  std::vector<Buffer> keys_, values_;  // per layer; empty where the layer has none of its own
  std::vector<int32_t> free_sequences_;
};

}  // namespace gf
