// The forward pass of the Gemma 4 family: dense, mixture of experts, per-layer embeddings, shared keys
// and values. Written once over Ops; the formulas are those of the published model code.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/kv.h"
#include "engine/model_weights.h"

namespace gf {

// Rows of one step: tokens of any number of sequences, each sequence's in the order of their positions.
struct Step {
  std::vector<int32_t> tokens;
  std::vector<int32_t> positions;
  std::vector<int32_t> sequences;
  std::vector<int32_t> wanted;  // rows whose logits are asked for, ascending
};

struct StepLimits {
  int64_t rows = 0;
  int64_t wanted = 0;
};

// Called with row 0 (scaled embedding), then after each layer, then after the final norm. Rows are those
// of the step up to the KV-shared layers, and the wanted ones from there.
using HiddenTap = std::function<void(int64_t row, const Tensor& hidden)>;

class Gemma4 {
 public:
  // Refers to all three for as long as it lives.
  Gemma4(const ModelConfig& config, const ModelWeights& weights, Ops& ops, StepLimits limits);
  static uint64_t workspace_bytes(const ModelConfig& config, StepLimits limits);

  // Logits [wanted, vocab_size], valid until the next call; empty where no row is wanted. The cache was prepared
  // for every sequence (KvCache::prepare).
  Tensor forward(const Step& step, const KvCache& cache, const HiddenTap& tap = {});

 private:
  struct Rows {
    StepRows at;
    Tensor sliding_angles, full_angles;
  };
  void embed(const Step& step, Tensor x);
  void embed_per_layer(const Step& step, Tensor x);
  void attention(int64_t index, Tensor x, const Rows& rows, const KvCache& cache);
  void feed_forward(const LayerConfig& layer, const LayerWeights& weights, Tensor x);
  void experts(const LayerWeights& weights, Tensor out, Tensor x);
  void per_layer(int64_t index, const LayerWeights& weights, Tensor x);
  void keep_wanted(const Step& step, Tensor& x, Rows& rows);
  Rows rows_of(std::span<const int32_t> positions, std::span<const int32_t> sequences);

  const ModelConfig& config_;
  const ModelWeights& weights_;
  Ops& ops_;
  StepLimits limits_;
  std::vector<float> sliding_frequencies_, full_frequencies_;
  std::vector<int32_t> wanted_positions_, wanted_sequences_;
  Routing routing_;
  Tensor per_layer_inputs_;  // [rows, layers * per_layer_width] of the current rows

  struct Places;  // where each intermediate is in the workspace
  Buffer memory_;
  std::shared_ptr<const Places> places_;
};

// What embeddings are multiplied by: the published models round it to bf16 first.
float embedding_scale(int64_t width);
// One per pair of a head; `rotated` of them turn, the others are 0.
std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim);

}  // namespace gf
