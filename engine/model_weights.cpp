// One walk over the tensors of a model, made with three purposes: to count the bytes, to read them, and
// to list the names. So the plan, the allocation and the generator cannot disagree.
#include "engine/model_weights.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "kernels/base/error.h"
#include "kernels/bf16.h"

namespace gf {
namespace {

constexpr uint64_t kTensorAlign = 64;
constexpr uint64_t kReadBytes = 16U << 20;

// What the walk does with each tensor.
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual Weight matrix(const std::string& name, std::vector<int64_t> shape) = 0;  // 3-D: rows of all together
  virtual Tensor vector(const std::string& name, int64_t columns) = 0;
  virtual float scalar(const std::string& name) = 0;
  virtual bool has(const std::string& name) = 0;
};

std::vector<Weight> split(const Weight& all, int64_t parts, int64_t first, int64_t rows) {
  std::vector<Weight> list;
  if (all.empty()) return list;
  const int64_t each = all.rows / parts;
  for (int64_t part = 0; part < parts; ++part) list.push_back(all.row_range(part * each + first, rows));
  return list;
}

void visit_attention(Visitor& visit, const ModelConfig& config, int64_t index, const std::string& at,
                     LayerWeights& to) {
  const LayerConfig& layer = config.layers[static_cast<size_t>(index)];
  const int64_t hidden = config.hidden_size;
  const int64_t q_width = config.attention_heads * layer.head_dim;
  const int64_t kv_width = layer.kv_heads * layer.head_dim;
  to.q_proj = visit.matrix(at + "q_proj.weight", {q_width, hidden});
  to.q_norm = visit.vector(at + "q_norm.weight", layer.head_dim);
  to.o_proj = visit.matrix(at + "o_proj.weight", {hidden, q_width});
  if (!config.owns_kv(index)) return;
  to.k_proj = visit.matrix(at + "k_proj.weight", {kv_width, hidden});
  to.k_norm = visit.vector(at + "k_norm.weight", layer.head_dim);
  if (!layer.v_is_k) to.v_proj = visit.matrix(at + "v_proj.weight", {kv_width, hidden});
}

void visit_experts(Visitor& visit, const ModelConfig& config, const std::string& at, LayerWeights& to) {
  const MoeConfig& moe = *config.moe;
  const int64_t hidden = config.hidden_size;
  const int64_t width = moe.intermediate_size;
  to.post_feedforward_layernorm_1 = visit.vector(at + "post_feedforward_layernorm_1.weight", hidden);
  to.pre_feedforward_layernorm_2 = visit.vector(at + "pre_feedforward_layernorm_2.weight", hidden);
  to.post_feedforward_layernorm_2 = visit.vector(at + "post_feedforward_layernorm_2.weight", hidden);
  to.router = visit.matrix(at + "router.proj.weight", {moe.experts, hidden});
  to.router_scale = visit.vector(at + "router.scale", hidden);
  to.per_expert_scale = visit.vector(at + "router.per_expert_scale", moe.experts);
  const Weight gate_up = visit.matrix(at + "experts.gate_up_proj", {moe.experts, 2 * width, hidden});
  const Weight down = visit.matrix(at + "experts.down_proj", {moe.experts, hidden, width});
  to.expert_gate = split(gate_up, moe.experts, 0, width);
  to.expert_up = split(gate_up, moe.experts, width, width);
  to.expert_down = split(down, moe.experts, 0, hidden);
}

LayerWeights visit_layer(Visitor& visit, const ModelConfig& config, int64_t index, const std::string& at) {
  const LayerConfig& layer = config.layers[static_cast<size_t>(index)];
  const int64_t hidden = config.hidden_size;
  LayerWeights to;
  to.input_layernorm = visit.vector(at + "input_layernorm.weight", hidden);
  visit_attention(visit, config, index, at + "self_attn.", to);
  to.post_attention_layernorm = visit.vector(at + "post_attention_layernorm.weight", hidden);
  to.pre_feedforward_layernorm = visit.vector(at + "pre_feedforward_layernorm.weight", hidden);
  to.gate_proj = visit.matrix(at + "mlp.gate_proj.weight", {layer.intermediate_size, hidden});
  to.up_proj = visit.matrix(at + "mlp.up_proj.weight", {layer.intermediate_size, hidden});
  to.down_proj = visit.matrix(at + "mlp.down_proj.weight", {hidden, layer.intermediate_size});
  to.post_feedforward_layernorm = visit.vector(at + "post_feedforward_layernorm.weight", hidden);
  if (config.moe) visit_experts(visit, config, at, to);
  if (config.per_layer_width > 0) {
    to.per_layer_input_gate = visit.matrix(at + "per_layer_input_gate.weight", {config.per_layer_width, hidden});
    to.per_layer_projection = visit.matrix(at + "per_layer_projection.weight", {hidden, config.per_layer_width});
    to.post_per_layer_input_norm = visit.vector(at + "post_per_layer_input_norm.weight", hidden);
  }
  to.layer_scalar = visit.scalar(at + "layer_scalar");
  return to;
}

ModelWeights visit_model(Visitor& visit, const ModelConfig& config, const std::string& prefix) {
  ModelWeights to;
  const int64_t hidden = config.hidden_size;
  const auto layers = static_cast<int64_t>(config.layers.size());
  to.embed_tokens = visit.matrix(prefix + "embed_tokens.weight", {config.vocab_size, hidden});
  if (config.per_layer_width > 0) {
    const int64_t width = layers * config.per_layer_width;
    to.embed_tokens_per_layer =
        visit.matrix(prefix + "embed_tokens_per_layer.weight", {config.per_layer_vocab_size, width});
    to.per_layer_model_projection = visit.matrix(prefix + "per_layer_model_projection.weight", {width, hidden});
    to.per_layer_projection_norm = visit.vector(prefix + "per_layer_projection_norm.weight", config.per_layer_width);
  }
  for (int64_t i = 0; i < layers; ++i)
    to.layers.push_back(visit_layer(visit, config, i, prefix + "layers." + std::to_string(i) + "."));
  to.norm = visit.vector(prefix + "norm.weight", hidden);
  // A head of its own is used also where the config says tied: exporters keep one that differs.
  const bool own_head = !config.tie_word_embeddings || visit.has("lm_head.weight");
  to.lm_head = own_head ? visit.matrix("lm_head.weight", {config.vocab_size, hidden}) : to.embed_tokens;
  return to;
}

// Checks every tensor; with memory to fill, reads it as well.
class Loader : public Visitor {
 public:
  Loader(const WeightsSource& source, std::byte* memory) : source_(source), memory_(memory) {}
  [[nodiscard]] uint64_t used() const { return used_; }
  [[nodiscard]] const std::set<std::string>& asked() const { return asked_; }

  bool has(const std::string& name) override { return source_.find(name).has_value(); }

  Weight matrix(const std::string& name, std::vector<int64_t> shape) override {
    const TensorInfo info = require(name, shape);
    if (info.dtype != DType::bf16)
      throw Error(Code::unsupported, "tensor ", name, ": expected BF16, found ", dtype_name(info.dtype));
    Weight weight;
    weight.columns = shape.back();
    weight.rows = info.rows() * info.numbers_per_row() / shape.back();
    weight.stride = aligned_columns(weight.columns);
    std::byte* to = take(static_cast<uint64_t>(weight.rows * weight.stride) * 2);
    if (to == nullptr) return weight;
    weight.data = to;
    read_matrix(name, info, weight, reinterpret_cast<uint16_t*>(to));
    return weight;
  }

  Tensor vector(const std::string& name, int64_t columns) override {
    const TensorInfo info = require(name, {columns});
    std::byte* to = take(static_cast<uint64_t>(columns) * sizeof(float));
    if (to == nullptr) return {};
    const Tensor out = gf::matrix(to, DType::f32, 1, columns);
    read_floats(name, info, std::span(out.f32(), static_cast<size_t>(columns)));
    return out;
  }

  float scalar(const std::string& name) override {
    TensorInfo info = find(name);
    if (info.shape.empty()) info.shape = {1};
    if (info.shape != std::vector<int64_t>{1})
      throw Error(Code::corrupt, "tensor ", name, ": expected one number, found shape ", shape_text(info.shape));
    float value = 1.0F;
    if (memory_ != nullptr) read_floats(name, info, std::span(&value, 1));
    return value;
  }

 private:
  TensorInfo find(const std::string& name) {
    asked_.insert(name);
    auto info = source_.find(name);
    if (!info) throw Error(Code::corrupt, "tensor ", name, ": missing in the checkpoint");
    return *info;
  }

  TensorInfo require(const std::string& name, const std::vector<int64_t>& shape) {
    TensorInfo info = find(name);
    if (info.shape != shape)
      throw Error(Code::corrupt, "tensor ", name, ": expected shape ", shape_text(shape), ", found ",
                  shape_text(info.shape));
    return info;
  }

  std::byte* take(uint64_t bytes) {
    std::byte* place = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += (bytes + kTensorAlign - 1) / kTensorAlign * kTensorAlign;
    return place;
  }

  // Piece by piece, so that a source can check what it hands out while it is in the cache.
  void read_matrix(const std::string& name, const TensorInfo& info, const Weight& weight, uint16_t* to) {
    const int64_t lines = weight.rows / info.rows();  // matrix rows per row of the tensor (experts: many)
    const uint64_t row_bytes = info.bytes() / static_cast<uint64_t>(info.rows());
    const int64_t step = std::max<int64_t>(1, static_cast<int64_t>(kReadBytes / row_bytes));
    for (int64_t row = 0; row < info.rows(); row += step) {
      const int64_t count = std::min(step, info.rows() - row);
      const uint64_t bytes = row_bytes * static_cast<uint64_t>(count);
      uint16_t* place = to + row * lines * weight.stride;
      if (weight.stride == weight.columns) {
        source_.read(name, {row, count}, {reinterpret_cast<std::byte*>(place), bytes});
        continue;
      }
      scratch_.resize(bytes);
      source_.read(name, {row, count}, scratch_);
      for (int64_t line = 0; line < count * lines; ++line)
        std::memcpy(place + line * weight.stride, scratch_.data() + line * weight.columns * 2,
                    static_cast<size_t>(weight.columns) * 2);
    }
  }

  void read_floats(const std::string& name, const TensorInfo& info, std::span<float> out) {
    scratch_.resize(info.bytes());
    source_.read(name, {0, info.rows()}, scratch_);
    if (info.dtype == DType::f32) {
      std::memcpy(out.data(), scratch_.data(), scratch_.size());
      return;
    }
    if (info.dtype != DType::bf16)
      throw Error(Code::unsupported, "tensor ", name, ": expected BF16 or F32, found ", dtype_name(info.dtype));
    for (size_t i = 0; i < out.size(); ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, scratch_.data() + 2 * i, 2);
      out[i] = float_of_bf16(bits);
    }
  }

  const WeightsSource& source_;
  std::byte* memory_;
  uint64_t used_ = 0;
  std::set<std::string> asked_;
  std::vector<std::byte> scratch_;
};

class Lister : public Visitor {
 public:
  std::vector<NamedShape> list;
  Weight matrix(const std::string& name, std::vector<int64_t> shape) override {
    list.push_back({name, std::move(shape)});
    return {};
  }
  Tensor vector(const std::string& name, int64_t columns) override {
    list.push_back({name, {columns}});
    return {};
  }
  float scalar(const std::string& name) override {
    list.push_back({name, {1}});
    return 1.0F;
  }
  bool has(const std::string& /*name*/) override { return false; }
};

std::string prefix_of(const WeightsSource& source) {
  for (const std::string prefix : {"model.language_model.", "model."})
    if (source.find(prefix + "embed_tokens.weight")) return prefix;
  throw Error(Code::corrupt, "tensor model.language_model.embed_tokens.weight: missing in the checkpoint");
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

// KV-shared layers may still ship what they do not use.
bool is_unused_kv(const ModelConfig& config, std::string_view name) {
  const size_t at = name.find("layers.");
  if (at == std::string_view::npos) return false;
  const int64_t layer = std::atoll(std::string(name.substr(at + 7, 6)).c_str());
  return layer >= config.first_kv_shared_layer &&
         ends_with_any(name, {"k_proj.weight", "v_proj.weight", "k_norm.weight"});
}

// What the checkpoint has besides: other towers are left out, a surprise in the language model is refused.
std::vector<std::string> skipped_tensors(const ModelConfig& config, const WeightsSource& source,
                                         const std::set<std::string>& asked, const std::string& prefix) {
  std::vector<std::string> skipped;
  for (const std::string& name : source.names()) {
    if (asked.contains(name)) continue;
    const bool language = name.starts_with(prefix + "layers.") || name.starts_with("model.language_model.");
    if (language && !is_unused_kv(config, name))
      throw Error(Code::unsupported, "tensor ", name, ": the config does not call for it");
    skipped.push_back(name);
  }
  return skipped;
}

}  // namespace

uint64_t weight_bytes(const ModelConfig& config, const WeightsSource& source) {
  const std::string prefix = prefix_of(source);
  Loader counter(source, nullptr);
  visit_model(counter, config, prefix);
  skipped_tensors(config, source, counter.asked(), prefix);
  return counter.used();
}

ModelWeights load_weights(const ModelConfig& config, const WeightsSource& source, Ops& ops) {
  Buffer memory = ops.allocate(weight_bytes(config, source));
  const std::string prefix = prefix_of(source);
  Loader loader(source, memory.data());
  ModelWeights weights = visit_model(loader, config, prefix);
  weights.skipped = skipped_tensors(config, source, loader.asked(), prefix);
  weights.memory = std::move(memory);
  return weights;
}

std::vector<NamedShape> checkpoint_tensors(const ModelConfig& config) {
  Lister lister;
  visit_model(lister, config, "model.language_model.");
  return std::move(lister.list);
}

}  // namespace gf
