#include "engine/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

using Json = nlohmann::json;

// Larger than any model of the family, small enough that products of two never overflow.
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxPositions = int64_t{1} << 24;

// Keys of text_config that say nothing about the numbers of a forward pass.
const std::set<std::string_view> kInertKeys = {
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "cache_implementation",
    "eos_token_id",
    "initializer_range",
    "pad_token_id",
    "transformers_version",
    "use_cache",
    "output_hidden_states",
    "output_attentions",
    "return_dict",
    "chunk_size_feed_forward",
    "is_encoder_decoder",
    "problem_type",
    "id2label",
    "label2id",
    "name_or_path",
    "torchscript",
};

// One object of the file; null means absent, as the exporters use it.
class Section {
 public:
  Section(const Json& value, std::string path) : value_(value), path_(std::move(path)) {
    if (!value_.is_object()) throw Error(Code::input, path_, ": expected an object");
  }

  const Json* find(const std::string& key) {
    seen_.insert(key);
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }

  int64_t integer(const std::string& key, int64_t least, int64_t most) {
    const Json* value = find(key);
    if (value == nullptr) throw Error(Code::input, at(key), ": missing");
    return checked(key, *value, least, most);
  }

  int64_t integer_or(const std::string& key, int64_t least, int64_t most, int64_t otherwise) {
    const Json* value = find(key);
    return value == nullptr ? otherwise : checked(key, *value, least, most);
  }

  std::optional<double> number(const std::string& key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) throw Error(Code::input, at(key), ": expected a number, found ", value->dump());
    return value->get<double>();
  }

  bool boolean_or(const std::string& key, bool otherwise) {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) throw Error(Code::input, at(key), ": expected true or false, found ", value->dump());
    return value->get<bool>();
  }

  std::optional<std::string> string(const std::string& key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) throw Error(Code::input, at(key), ": expected a string, found ", value->dump());
    return value->get<std::string>();
  }

  void only(const std::string& key, const std::string& supported) {
    const auto found = string(key);
    if (found && *found != supported)
      throw Error(Code::unsupported, at(key), ": \"", *found, "\" is not implemented; expected \"", supported, "\"");
  }

  // A key that nobody asked for may change the numbers, unless it is empty or switched off.
  void finish() const {
    for (const auto& [key, value] : value_.items()) {
      const bool off = value.is_null() || (value.is_boolean() && !value.get<bool>());
      if (off || seen_.contains(key) || kInertKeys.contains(key)) continue;
      throw Error(Code::unsupported, at(key), ": this key is not known; its value is ", value.dump().substr(0, 80));
    }
  }

  [[nodiscard]] std::string at(const std::string& key) const { return path_ + "." + key; }

 private:
  [[nodiscard]] int64_t checked(const std::string& key, const Json& value, int64_t least, int64_t most) const {
    if (!value.is_number_integer()) throw Error(Code::input, at(key), ": expected an integer, found ", value.dump());
    const bool too_large = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(most);
    const int64_t number = too_large ? most : value.get<int64_t>();
    if (too_large || number < least || number > most)
      throw Error(Code::input, at(key), ": expected ", least, " to ", most, ", found ", value.dump());
    return number;
  }

  const Json& value_;
  std::string path_;
  std::set<std::string, std::less<>> seen_;
};

RopeConfig read_rope(const Json& value, const std::string& path, LayerType type) {
  Section section(value, path);
  RopeConfig rope;
  rope.theta = section.number("rope_theta").value_or(type == LayerType::full ? 1e6 : 1e4);
  const std::string kind = section.string("rope_type").value_or("default");
  const double rotated = section.number("partial_rotary_factor").value_or(1.0);
  if (kind != "default" && kind != "proportional")
    throw Error(Code::unsupported, section.at("rope_type"), ": \"", kind,
                "\" is not implemented; expected default or proportional");
  if (kind == "default" && rotated != 1.0)
    throw Error(Code::unsupported, section.at("partial_rotary_factor"), ": ", rotated,
                " is not implemented with rope_type default");
  if (!(rope.theta > 0) || !(rotated > 0 && rotated <= 1))
    throw Error(Code::input, path, ": expected rope_theta above 0 and partial_rotary_factor in (0, 1], found ",
                rope.theta, " and ", rotated);
  rope.rotated = rotated;
  section.finish();
  return rope;
}

void read_ropes(Section& text, ModelConfig& config) {
  const Json* both = text.find("rope_parameters");
  // The older spelling: rope_theta is that of the full layers.
  const auto theta = text.number("rope_theta");
  const auto local = text.number("rope_local_base_freq");
  const auto rotated = text.number("partial_rotary_factor");
  if (both != nullptr) {
    Section ropes(*both, text.at("rope_parameters"));
    const Json* sliding = ropes.find("sliding_attention");
    const Json* full = ropes.find("full_attention");
    if (sliding == nullptr || full == nullptr)
      throw Error(Code::input, text.at("rope_parameters"), ": expected sliding_attention and full_attention");
    config.sliding_rope = read_rope(*sliding, ropes.at("sliding_attention"), LayerType::sliding);
    config.full_rope = read_rope(*full, ropes.at("full_attention"), LayerType::full);
    ropes.finish();
    return;
  }
  if (!theta || !local) throw Error(Code::input, text.at("rope_parameters"), ": missing");
  if (text.find("rope_scaling") != nullptr)
    throw Error(Code::unsupported, text.at("rope_scaling"), ": not implemented; expected null");
  config.sliding_rope = {.theta = *local, .rotated = 1.0};
  config.full_rope = {.theta = *theta, .rotated = rotated.value_or(0.25)};
  if (!(*theta > 0) || !(*local > 0) || !(config.full_rope.rotated > 0 && config.full_rope.rotated <= 1))
    throw Error(Code::input, text.at("rope_theta"), ": expected rope values above 0");
}

std::vector<LayerType> read_layer_types(Section& text, int64_t layers) {
  const Json* list = text.find("layer_types");
  if (list == nullptr) throw Error(Code::input, text.at("layer_types"), ": missing");
  if (!list->is_array() || list->size() != static_cast<size_t>(layers))
    throw Error(Code::input, text.at("layer_types"), ": expected a list of ", layers, " entries");
  std::vector<LayerType> types;
  for (const Json& entry : *list) {
    if (entry == "sliding_attention") {
      types.push_back(LayerType::sliding);
    } else if (entry == "full_attention") {
      types.push_back(LayerType::full);
    } else {
      throw Error(Code::unsupported, text.at("layer_types"), "[", types.size(), "]: ", entry.dump(),
                  " is not implemented; expected sliding_attention or full_attention");
    }
  }
  types.back() = LayerType::full;  // the published code forces it
  return types;
}

// {"3": {"head_dim": 512, "num_key_value_heads": 4}}: the newer exporters' way to say what differs.
void read_per_layer(Section& text, ModelConfig& config) {
  const Json* map = text.find("per_layer_config");
  if (map == nullptr) return;
  if (!map->is_object()) throw Error(Code::input, text.at("per_layer_config"), ": expected an object");
  for (const auto& [key, value] : map->items()) {
    const std::string path = text.at("per_layer_config") + "." + key;
    size_t used = 0;
    const bool digits = !key.empty() && key.size() <= 4 &&
                        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    const size_t layer = digits ? std::stoul(key, &used) : config.layers.size();
    if (layer >= config.layers.size())
      throw Error(Code::input, path, ": expected the index of one of ", config.layers.size(), " layers");
    Section section(value, path);
    LayerConfig& target = config.layers[layer];
    target.head_dim = section.integer_or("head_dim", 2, kMaxWidth, target.head_dim);
    target.kv_heads = section.integer_or("num_key_value_heads", 1, kMaxWidth, target.kv_heads);
    target.intermediate_size = section.integer_or("intermediate_size", 1, kMaxWidth, target.intermediate_size);
    section.finish();
  }
}

void read_layers(Section& text, ModelConfig& config) {
  const int64_t count = text.integer("num_hidden_layers", 1, kMaxLayers);
  const int64_t head_dim = text.integer("head_dim", 2, kMaxWidth);
  const int64_t global_head_dim = text.integer_or("global_head_dim", 2, kMaxWidth, head_dim);
  const int64_t kv_heads = text.integer("num_key_value_heads", 1, kMaxWidth);
  const int64_t global_kv_heads = text.integer_or("num_global_key_value_heads", 1, kMaxWidth, kv_heads);
  const int64_t width = text.integer("intermediate_size", 1, kMaxWidth);
  const int64_t shared = text.integer_or("num_kv_shared_layers", 0, count, 0);
  const bool v_is_k = text.boolean_or("attention_k_eq_v", false);
  const bool double_wide = text.boolean_or("use_double_wide_mlp", false);
  config.first_kv_shared_layer = count - shared;
  for (const LayerType type : read_layer_types(text, count)) {
    const auto index = static_cast<int64_t>(config.layers.size());
    const bool full = type == LayerType::full;
    config.layers.push_back({.type = type,
                             .head_dim = full ? global_head_dim : head_dim,
                             .kv_heads = full ? global_kv_heads : kv_heads,
                             .intermediate_size = double_wide && !config.owns_kv(index) ? 2 * width : width,
                             .v_is_k = v_is_k && full,
                             .kv_layer = index});
  }
  read_per_layer(text, config);
}

// A KV-shared layer reads what the last layer of its type with its own KV stored.
void link_shared_layers(const Section& text, ModelConfig& config) {
  for (size_t i = 0; i < config.layers.size(); ++i) {
    LayerConfig& layer = config.layers[i];
    if (layer.head_dim % 2 != 0 || config.attention_heads % layer.kv_heads != 0)
      throw Error(Code::input, text.at("num_key_value_heads"), ": layer ", i, " has head_dim ", layer.head_dim, " and ",
                  layer.kv_heads, " key-value heads for ", config.attention_heads,
                  " heads; expected an even head_dim and a divisor of the heads");
    if (config.owns_kv(static_cast<int64_t>(i))) continue;
    int64_t source = config.first_kv_shared_layer - 1;
    while (source >= 0 && config.layers[static_cast<size_t>(source)].type != layer.type) --source;
    if (source < 0)
      throw Error(Code::input, text.at("num_kv_shared_layers"), ": layer ", i,
                  " has no earlier layer of its type whose keys and values it could read");
    const LayerConfig& from = config.layers[static_cast<size_t>(source)];
    if (from.head_dim != layer.head_dim || from.kv_heads != layer.kv_heads)
      throw Error(Code::input, text.at("per_layer_config"), ": layer ", i, " shares the keys and values of layer ",
                  source, " but has another head_dim or other key-value heads");
    layer.kv_layer = source;
  }
}

void read_moe(Section& text, ModelConfig& config) {
  const bool enabled = text.boolean_or("enable_moe_block", false);
  const int64_t experts = text.integer_or("num_experts", 0, 65536, 0);
  const int64_t top_k = text.integer_or("top_k_experts", 0, 65536, 0);
  int64_t width = text.integer_or("moe_intermediate_size", 0, kMaxWidth, 0);
  width = text.integer_or("expert_intermediate_size", 0, kMaxWidth, width);
  if (!enabled) return;
  if (experts < 1 || top_k < 1 || top_k > experts || width < 1)
    throw Error(Code::input, text.at("enable_moe_block"), ": num_experts ", experts, ", top_k_experts ", top_k,
                " and moe_intermediate_size ", width, " do not make an expert block");
  config.moe = MoeConfig{.experts = experts, .top_k = top_k, .intermediate_size = width};
}

void read_text(Section& text, ModelConfig& config) {
  text.only("hidden_activation", "gelu_pytorch_tanh");
  text.only("dtype", "bfloat16");
  text.only("torch_dtype", "bfloat16");
  if (text.boolean_or("attention_bias", false))
    throw Error(Code::unsupported, text.at("attention_bias"), ": true is not implemented");
  // "vision" concerns image tokens only.
  if (const Json* both_ways = text.find("use_bidirectional_attention"))
    if (*both_ways != "vision" && *both_ways != false)
      throw Error(Code::unsupported, text.at("use_bidirectional_attention"), ": ", both_ways->dump(),
                  " is not implemented; expected null or \"vision\"");
  config.vocab_size = text.integer("vocab_size", 1, kMaxVocabulary);
  config.hidden_size = text.integer("hidden_size", 1, kMaxWidth);
  config.attention_heads = text.integer("num_attention_heads", 1, kMaxWidth);
  config.sliding_window = text.integer("sliding_window", 1, kMaxPositions);
  config.max_position_embeddings = text.integer("max_position_embeddings", 1, kMaxPositions);
  config.rms_norm_eps = static_cast<float>(text.number("rms_norm_eps").value_or(1e-6));
  if (!(config.rms_norm_eps > 0)) throw Error(Code::input, text.at("rms_norm_eps"), ": expected a value above 0");
  if (const auto cap = text.number("final_logit_softcapping")) {
    if (!(*cap > 0)) throw Error(Code::input, text.at("final_logit_softcapping"), ": expected null or a value above 0");
    config.final_logit_softcapping = static_cast<float>(*cap);
  }
  config.tie_word_embeddings = text.boolean_or("tie_word_embeddings", config.tie_word_embeddings);
  config.per_layer_width = text.integer_or("hidden_size_per_layer_input", 0, kMaxWidth, 0);
  config.per_layer_vocab_size = text.integer_or("vocab_size_per_layer_input", 0, kMaxVocabulary, config.vocab_size);
  if (config.per_layer_width > 0 && config.per_layer_vocab_size < config.vocab_size)
    throw Error(Code::unsupported, text.at("vocab_size_per_layer_input"), ": ", config.per_layer_vocab_size,
                " is not implemented; expected at least vocab_size, ", config.vocab_size);
  read_ropes(text, config);
  read_layers(text, config);
  link_shared_layers(text, config);
  read_moe(text, config);
}

void read_eos(const Json* value, const std::string& path, std::vector<int32_t>& out) {
  if (value == nullptr) return;
  const Json list = value->is_array() ? *value : Json::array({*value});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMaxVocabulary)
      throw Error(Code::input, path, ": expected token ids, found ", id.dump());
    const auto token = id.get<int32_t>();
    if (std::find(out.begin(), out.end(), token) == out.end()) out.push_back(token);
  }
}

}  // namespace

ModelConfig parse_model_config(std::string_view json, std::string_view what) {
  const Json root = parse_json(json, what);
  Section top(root, std::string(what));
  const std::string model_type = top.string("model_type").value_or("");
  const std::set<std::string_view> known = {"gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"};
  if (!known.contains(model_type))
    throw Error(Code::unsupported, top.at("model_type"), ": \"", model_type,
                "\" is not implemented; expected gemma4, gemma4_text, gemma4_unified or gemma4_unified_text");
  if (top.find("quantization_config") != nullptr)
    throw Error(Code::unsupported, top.at("quantization_config"), ": quantized checkpoints are not implemented");
  top.only("dtype", "bfloat16");
  top.only("torch_dtype", "bfloat16");

  ModelConfig config;
  config.tie_word_embeddings = top.boolean_or("tie_word_embeddings", true);
  const Json* nested = top.find("text_config");
  Section text(nested == nullptr ? root : *nested, nested == nullptr ? std::string(what) : top.at("text_config"));
  text.find("model_type");
  text.find("quantization_config");
  read_text(text, config);
  read_eos(text.find("eos_token_id"), text.at("eos_token_id"), config.eos_token_ids);
  if (nested != nullptr) read_eos(top.find("eos_token_id"), top.at("eos_token_id"), config.eos_token_ids);
  text.finish();
  return config;
}

}  // namespace gf
