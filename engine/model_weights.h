// A model's tensors in a backend's memory, checked against the config as they are read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/weights.h"
#include "kernels/ops.h"

namespace gf {

// Norm weights are float32 vectors ([1, columns]); an empty one is not there in this model.
struct LayerWeights {
  Tensor input_layernorm, post_attention_layernorm, pre_feedforward_layernorm, post_feedforward_layernorm;
  Tensor q_norm, k_norm;
  Weight q_proj, k_proj, v_proj, o_proj;  // no k, v in a KV-shared layer; no v where values are keys
  Weight gate_proj, up_proj, down_proj;
  float layer_scalar = 1.0F;
  // Experts
  Tensor post_feedforward_layernorm_1, pre_feedforward_layernorm_2, post_feedforward_layernorm_2;
  Tensor router_scale, per_expert_scale;
  Weight router;
  std::vector<Weight> expert_gate, expert_up, expert_down;
  // Per-layer embeddings
  Weight per_layer_input_gate, per_layer_projection;
  Tensor post_per_layer_input_norm;
};

struct ModelWeights {
  Weight embed_tokens;
  Weight lm_head;  // embed_tokens where tied
  Tensor norm;
  Weight embed_tokens_per_layer, per_layer_model_projection;
  Tensor per_layer_projection_norm;
  std::vector<LayerWeights> layers;
  Buffer memory;                     // all of the above
  std::vector<std::string> skipped;  // tensors of the file that the text model does not use
};

// Code::corrupt for a missing tensor or a wrong shape, Code::unsupported for a number type or a tensor of the
// language model that nobody asked for; each names the tensor.
ModelWeights load_weights(const ModelConfig& config, const WeightsSource& source, Ops& ops);
// What `memory` of the above will hold; the same checks, nothing read.
uint64_t weight_bytes(const ModelConfig& config, const WeightsSource& source);

struct NamedShape {
  std::string name;
  std::vector<int64_t> shape;
};
// Every tensor of a checkpoint of this shape, in the published layout ("model.language_model." names).
std::vector<NamedShape> checkpoint_tensors(const ModelConfig& config);

}  // namespace gf
