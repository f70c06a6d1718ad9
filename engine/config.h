// A Gemma 4 model's shape, from config.json (any spelling that its exporters used). Nothing here
// depends on the model's name; a value that the engine does not implement is refused by its key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

enum class LayerType : uint8_t { sliding, full };

struct LayerConfig {
  LayerType type = LayerType::sliding;
  int64_t head_dim = 0;
  int64_t kv_heads = 0;
  int64_t intermediate_size = 0;
  bool v_is_k = false;   // no v_proj: values come from k_proj (attention_k_eq_v)
  int64_t kv_layer = 0;  // whose keys and values it reads; its own index unless KV-shared
};

struct RopeConfig {
  double theta = 10000.0;
  double rotated = 1.0;  // share of the pairs that turn; the others have frequency 0
};

struct MoeConfig {
  int64_t experts = 0;
  int64_t top_k = 0;
  int64_t intermediate_size = 0;
};

struct ModelConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t attention_heads = 0;
  int64_t sliding_window = 0;
  int64_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-6F;
  std::optional<float> final_logit_softcapping;
  bool tie_word_embeddings = true;
  RopeConfig sliding_rope;
  RopeConfig full_rope;
  std::vector<LayerConfig> layers;
  int64_t first_kv_shared_layer = 0;  // layers.size() where every layer has its own
  int64_t per_layer_width = 0;        // hidden_size_per_layer_input; 0: no per-layer embeddings
  int64_t per_layer_vocab_size = 0;
  std::optional<MoeConfig> moe;
  std::vector<int32_t> eos_token_ids;

  [[nodiscard]] bool owns_kv(int64_t layer) const { return layer < first_kv_shared_layer; }
};

// Throws Code::input (a key missing, of the wrong type, or inconsistent) or Code::unsupported (a value that is
// not implemented), with the key's path: "config.json.text_config.hidden_activation: ...".
ModelConfig parse_model_config(std::string_view json, std::string_view what = "config.json");

}  // namespace gf
