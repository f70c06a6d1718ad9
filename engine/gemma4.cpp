#include "engine/gemma4.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/error.h"
#include "kernels/bf16.h"

namespace gf {

// One matrix per intermediate, each with room for the widest layer; a layer takes what it needs.
struct Gemma4::Places {
  struct Place {
    uint64_t offset = 0;
    int64_t rows = 0;
    int64_t columns = 0;
  };
  Place x, kept, normed, branch, extra, q, k, v, gate, up, sliding_angles, full_angles, final, logits;
  Place per_layer, per_layer_gate, per_layer_kept, router, expert_gate, expert_up, expert_out;
  uint64_t bytes = 0;

  Places(const ModelConfig& config, StepLimits limits) {
    int64_t q_width = 0;
    int64_t kv_width = 0;
    int64_t mlp_width = 0;
    int64_t sliding_dim = 0;
    int64_t full_dim = 0;
    for (const LayerConfig& layer : config.layers) {
      q_width = std::max(q_width, config.attention_heads * layer.head_dim);
      kv_width = std::max(kv_width, layer.kv_heads * layer.head_dim);
      mlp_width = std::max(mlp_width, layer.intermediate_size);
      int64_t& dim = layer.type == LayerType::full ? full_dim : sliding_dim;
      dim = std::max(dim, layer.head_dim);
    }
    const int64_t hidden = config.hidden_size;
    for (Place* place : {&x, &kept, &normed, &branch, &extra}) take(*place, limits.rows, hidden);
    for (Place* place : {&q}) take(*place, limits.rows, q_width);
    for (Place* place : {&k, &v}) take(*place, limits.rows, kv_width);
    for (Place* place : {&gate, &up}) take(*place, limits.rows, mlp_width);
    take(sliding_angles, limits.rows, sliding_dim);
    take(full_angles, limits.rows, full_dim);
    take(final, limits.wanted, hidden);
    take(logits, limits.wanted, config.vocab_size);
    if (config.per_layer_width > 0) {
      const int64_t width = static_cast<int64_t>(config.layers.size()) * config.per_layer_width;
      take(per_layer, limits.rows, width);
      take(per_layer_gate, limits.rows, width);
      take(per_layer_kept, limits.wanted, width);
    }
    if (config.moe) {
      const int64_t choices = limits.rows * config.moe->top_k;
      take(router, limits.rows, config.moe->experts);
      for (Place* place : {&expert_gate, &expert_up}) take(*place, choices, config.moe->intermediate_size);
      take(expert_out, choices, hidden);
    }
  }

 private:
  void take(Place& place, int64_t rows, int64_t columns) {
    place = {.offset = bytes, .rows = rows, .columns = columns};
    bytes += (static_cast<uint64_t>(rows * columns) * sizeof(float) + 63) / 64 * 64;
  }
};

namespace {

template <typename Place>
Tensor at(const Buffer& memory, const Place& place, int64_t rows, int64_t columns) {
  if (rows > place.rows || columns > place.columns)
    throw Error(Code::internal, "a step needs ", rows, " x ", columns, " of a workspace of ", place.rows, " x ",
                place.columns);
  return matrix(memory.data() + place.offset, DType::f32, rows, columns);
}

}  // namespace

float embedding_scale(int64_t width) { return rounded_to_bf16(std::sqrt(static_cast<float>(width))); }

std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim) {
  const int64_t pairs = head_dim / 2;
  const auto turning = static_cast<int64_t>(rope.rotated * static_cast<double>(pairs));
  std::vector<float> frequencies(static_cast<size_t>(pairs), 0.0F);
  for (int64_t i = 0; i < turning; ++i)
    frequencies[static_cast<size_t>(i)] =
        static_cast<float>(std::pow(rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim)));
  return frequencies;
}

Gemma4::Gemma4(const ModelConfig& config, const ModelWeights& weights, Ops& ops, StepLimits limits)
    : config_(config),
      weights_(weights),
      ops_(ops),
      limits_(limits),
      places_(std::make_shared<Places>(config, limits)) {
  memory_ = ops.allocate(places_->bytes);
  for (const LayerConfig& layer : config.layers) {
    const bool full = layer.type == LayerType::full;
    auto& frequencies = full ? full_frequencies_ : sliding_frequencies_;
    if (frequencies.empty())
      frequencies = rope_frequencies(full ? config.full_rope : config.sliding_rope, layer.head_dim);
    if (frequencies.size() != static_cast<size_t>(layer.head_dim / 2))
      throw Error(Code::unsupported, "layers of one type with several head_dim are not implemented");
  }
}

uint64_t Gemma4::workspace_bytes(const ModelConfig& config, StepLimits limits) { return Places(config, limits).bytes; }

Tensor Gemma4::forward(const Step& step, const KvCache& cache, const HiddenTap& tap) {
  const auto count = static_cast<int64_t>(step.tokens.size());
  Tensor x = at(memory_, places_->x, count, config_.hidden_size);
  Rows rows = rows_of(step.positions, step.sequences);
  embed(step, x);
  if (tap) tap(0, x);
  for (int64_t i = 0; i < static_cast<int64_t>(config_.layers.size()); ++i) {
    const LayerWeights& weights = weights_.layers[static_cast<size_t>(i)];
    if (i == config_.first_kv_shared_layer) keep_wanted(step, x, rows);
    if (x.rows == 0) return {};
    attention(i, x, rows, cache);
    feed_forward(config_.layers[static_cast<size_t>(i)], weights, x);
    if (config_.per_layer_width > 0) per_layer(i, weights, x);
    ops_.scale(x, weights.layer_scalar, {});
    if (tap && i + 1 < static_cast<int64_t>(config_.layers.size())) tap(i + 1, x);
  }
  if (config_.first_kv_shared_layer == static_cast<int64_t>(config_.layers.size())) keep_wanted(step, x, rows);
  if (x.rows == 0) return {};
  const Tensor final = at(memory_, places_->final, x.rows, config_.hidden_size);
  ops_.rms_norm(final, x, weights_.norm, config_.rms_norm_eps);
  if (tap) tap(static_cast<int64_t>(config_.layers.size()), final);
  const Tensor logits = at(memory_, places_->logits, x.rows, config_.vocab_size);
  ops_.matmul(logits, final, weights_.lm_head);
  if (config_.final_logit_softcapping) ops_.softcap(logits, *config_.final_logit_softcapping);
  return logits;
}

void Gemma4::embed(const Step& step, Tensor x) {
  ops_.embed(x, weights_.embed_tokens, step.tokens, embedding_scale(config_.hidden_size));
  if (config_.per_layer_width > 0) embed_per_layer(step, x);
}

// ple = (rms_norm(projection(x0) * hidden^-0.5) + table[token] * bf16(sqrt(width))) * 2^-0.5
void Gemma4::embed_per_layer(const Step& step, Tensor x) {
  const int64_t width = config_.per_layer_width;
  const int64_t all = width * static_cast<int64_t>(config_.layers.size());
  const Tensor ple = at(memory_, places_->per_layer, x.rows, all);
  const Tensor table = at(memory_, places_->per_layer_gate, x.rows, all);
  ops_.matmul(ple, x, weights_.per_layer_model_projection);
  ops_.scale(ple, 1.0F / std::sqrt(static_cast<float>(config_.hidden_size)), {});
  const Tensor heads = ple.reshaped(x.rows * static_cast<int64_t>(config_.layers.size()), width);
  ops_.rms_norm(heads, heads, weights_.per_layer_projection_norm, config_.rms_norm_eps);
  ops_.embed(table, weights_.embed_tokens_per_layer, step.tokens, embedding_scale(width));
  ops_.add(ple, table, std::sqrt(0.5F));
  per_layer_inputs_ = ple;
}

void Gemma4::attention(int64_t index, Tensor x, const Rows& rows, const KvCache& cache) {
  const LayerConfig& layer = config_.layers[static_cast<size_t>(index)];
  const LayerWeights& w = weights_.layers[static_cast<size_t>(index)];
  const float eps = config_.rms_norm_eps;
  const int64_t dim = layer.head_dim;
  const bool full = layer.type == LayerType::full;
  const Tensor angles = full ? rows.full_angles : rows.sliding_angles;
  const Tensor h = at(memory_, places_->normed, x.rows, config_.hidden_size);
  const Tensor q = at(memory_, places_->q, x.rows, config_.attention_heads * dim);
  const KvView kv = cache.view(layer.kv_layer);

  ops_.rms_norm(h, x, w.input_layernorm, eps);
  ops_.matmul(q, h, w.q_proj);
  const Tensor q_heads = q.reshaped(x.rows * config_.attention_heads, dim);
  ops_.rms_norm(q_heads, q_heads, w.q_norm, eps);
  ops_.rope(q, dim, angles);
  if (config_.owns_kv(index)) {
    const Tensor k = at(memory_, places_->k, x.rows, layer.kv_heads * dim);
    const Tensor v = at(memory_, places_->v, x.rows, layer.kv_heads * dim);
    const Tensor k_heads = k.reshaped(x.rows * layer.kv_heads, dim);
    const Tensor v_heads = v.reshaped(x.rows * layer.kv_heads, dim);
    ops_.matmul(k, h, w.k_proj);
    if (!layer.v_is_k) ops_.matmul(v, h, w.v_proj);
    ops_.rms_norm(v_heads, layer.v_is_k ? k_heads : v_heads, {}, eps);  // before the keys change
    ops_.rms_norm(k_heads, k_heads, w.k_norm, eps);
    ops_.rope(k, dim, angles);
    ops_.store_kv(kv, k, v, rows.at);
  }
  ops_.attend(q, q, kv, rows.at,
              {.heads = config_.attention_heads, .window = full ? 0 : config_.sliding_window, .scale = 1.0F});
  const Tensor out = at(memory_, places_->branch, x.rows, config_.hidden_size);
  ops_.matmul(out, q, w.o_proj);
  ops_.add_rms_norm(x, out, w.post_attention_layernorm, eps);
}

void Gemma4::feed_forward(const LayerConfig& layer, const LayerWeights& w, Tensor x) {
  const float eps = config_.rms_norm_eps;
  const Tensor n = at(memory_, places_->normed, x.rows, config_.hidden_size);
  const Tensor m = at(memory_, places_->branch, x.rows, config_.hidden_size);
  const Tensor gate = at(memory_, places_->gate, x.rows, layer.intermediate_size);
  const Tensor up = at(memory_, places_->up, x.rows, layer.intermediate_size);
  ops_.rms_norm(n, x, w.pre_feedforward_layernorm, eps);
  ops_.matmul(gate, n, w.gate_proj);
  ops_.matmul(up, n, w.up_proj);
  ops_.gelu_multiply(gate, gate, up);
  ops_.matmul(m, gate, w.down_proj);
  if (config_.moe) {
    ops_.rms_norm(m, m, w.post_feedforward_layernorm_1, eps);
    const Tensor z = at(memory_, places_->extra, x.rows, config_.hidden_size);
    experts(w, z, x);
    ops_.add_rms_norm(m, z, w.post_feedforward_layernorm_2, eps);
  }
  ops_.add_rms_norm(x, m, w.post_feedforward_layernorm, eps);
}

void Gemma4::experts(const LayerWeights& w, Tensor out, Tensor x) {
  const float eps = config_.rms_norm_eps;
  const int64_t hidden = config_.hidden_size;
  const int64_t choices = x.rows * config_.moe->top_k;
  const Tensor n = at(memory_, places_->normed, x.rows, hidden);
  const Tensor logits = at(memory_, places_->router, x.rows, config_.moe->experts);
  ops_.rms_norm(n, x, {}, eps);
  ops_.scale(n, 1.0F / std::sqrt(static_cast<float>(hidden)), w.router_scale);
  ops_.matmul(logits, n, w.router);
  ops_.route(routing_, logits, w.per_expert_scale, config_.moe->top_k);
  ops_.rms_norm(n, x, w.pre_feedforward_layernorm_2, eps);
  const Tensor gate = at(memory_, places_->expert_gate, choices, config_.moe->intermediate_size);
  const Tensor up = at(memory_, places_->expert_up, choices, config_.moe->intermediate_size);
  const Tensor answers = at(memory_, places_->expert_out, choices, hidden);
  ops_.matmul_experts(gate, n, w.expert_gate, routing_);
  ops_.matmul_experts(up, n, w.expert_up, routing_);
  ops_.gelu_multiply(gate, gate, up);
  ops_.matmul_experts(answers, gate, w.expert_down, routing_);
  ops_.combine_experts(out, answers, routing_);
}

void Gemma4::per_layer(int64_t index, const LayerWeights& w, Tensor x) {
  const int64_t width = config_.per_layer_width;
  const Tensor ple = per_layer_inputs_.column_range(index * width, width);
  const Tensor gate = at(memory_, places_->per_layer_gate, x.rows, width);
  const Tensor out = at(memory_, places_->branch, x.rows, config_.hidden_size);
  ops_.matmul(gate, x, w.per_layer_input_gate);
  ops_.gelu_multiply(gate, gate, ple);
  ops_.matmul(out, gate, w.per_layer_projection);
  ops_.add_rms_norm(x, out, w.post_per_layer_input_norm, config_.rms_norm_eps);
}

// From here on only rows whose logits are wanted: nothing later reads the others.
void Gemma4::keep_wanted(const Step& step, Tensor& x, Rows& rows) {
  const auto count = static_cast<int64_t>(step.wanted.size());
  const Tensor kept = at(memory_, places_->kept, count, config_.hidden_size);
  ops_.gather_rows(kept, x, step.wanted);
  if (config_.per_layer_width > 0) {
    const Tensor inputs = at(memory_, places_->per_layer_kept, count, per_layer_inputs_.columns);
    ops_.gather_rows(inputs, per_layer_inputs_, step.wanted);
    per_layer_inputs_ = inputs;
  }
  x = kept;
  wanted_positions_.clear();
  wanted_sequences_.clear();
  for (const int32_t row : step.wanted) {
    wanted_positions_.push_back(step.positions[static_cast<size_t>(row)]);
    wanted_sequences_.push_back(step.sequences[static_cast<size_t>(row)]);
  }
  rows = rows_of(wanted_positions_, wanted_sequences_);
}

Gemma4::Rows Gemma4::rows_of(std::span<const int32_t> positions, std::span<const int32_t> sequences) {
  const auto count = static_cast<int64_t>(positions.size());
  Rows rows{.at = {.positions = positions, .sequences = sequences}, .sliding_angles = {}, .full_angles = {}};
  const auto angles = [&](const Places::Place& place, const std::vector<float>& frequencies) {
    if (frequencies.empty()) return Tensor{};
    const Tensor out = at(memory_, place, count, 2 * static_cast<int64_t>(frequencies.size()));
    ops_.rope_angles(out, positions, frequencies);
    return out;
  };
  rows.sliding_angles = angles(places_->sliding_angles, sliding_frequencies_);
  rows.full_angles = angles(places_->full_angles, full_frequencies_);
  return rows;
}

}  // namespace gf
