// What a machine can do, a formula each. The model (engine/gemma4.cpp) is written once over this;
// kernels/reference/ is the specification that every other backend is tested against.
//
// Row independence: the numbers of an output row depend on that row of the input alone, bit for bit.
// The order of every sum is fixed by the row's length and by absolute positions, never by how many
// rows there are. Attention reads keys and values as the cache stores them, also those of this step.
// So neither batching nor the way a prompt is cut changes what a model says.
//
// Wrong shapes are defects of the caller: Code::internal, naming the op.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/tensor.h"

namespace gf {

enum class WeightFormat : uint8_t { bf16, nvfp4, int4 };
std::string_view format_name(WeightFormat format);

// A linear map from `columns` inputs to `rows` outputs; row n begins at data + n * stride numbers.
struct Weight {
  WeightFormat format = WeightFormat::bf16;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;  // aligned_columns(columns)
  const void* data = nullptr;

  [[nodiscard]] bool empty() const { return data == nullptr; }
  [[nodiscard]] Weight row_range(int64_t first, int64_t count) const;  // bf16
};

// The rows of one step: row r is a token of sequence `sequences[r]` at `positions[r]`.
struct StepRows {
  std::span<const int32_t> positions;
  std::span<const int32_t> sequences;
};

// Keys and values of one layer, in pages of `page_tokens` positions. Position p of sequence s is in
// page `table[s * pages_per_sequence + p / page_tokens]`; a page is
// [kv_heads, page_tokens, aligned_columns(head_dim)] of keys, and the same of values.
struct KvView {
  void* keys = nullptr;
  void* values = nullptr;
  DType dtype = DType::f32;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t page_tokens = 0;
  const int32_t* table = nullptr;
  int64_t pages_per_sequence = 0;

  // Index of the first number of (sequence, position, head).
  [[nodiscard]] int64_t offset(int32_t sequence, int64_t position, int64_t head) const {
    const int64_t page = table[sequence * pages_per_sequence + position / page_tokens];
    return ((page * kv_heads + head) * page_tokens + position % page_tokens) * aligned_columns(head_dim);
  }
};

struct Attend {
  int64_t heads = 0;
  int64_t window = 0;  // a row at p sees positions p - window < j <= p; 0: all j <= p
  float scale = 1.0F;
};

// Which experts a row goes to: entry r * top_k + j, best first (on a tie, the lower expert).
struct Routing {
  int64_t top_k = 0;
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

class Ops {
 public:
  virtual ~Ops() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual DType cache_dtype() const = 0;  // what keys and values are stored as
  virtual Buffer allocate(uint64_t bytes) = 0;          // zeroed
  // By the one thread that will call the ops from now on, once: it is bound to a core.
  virtual void attach_thread() {}

  // out[r] = table[tokens[r]] * scale
  virtual void embed(Tensor out, const Weight& table, std::span<const int32_t> tokens, float scale) = 0;
  // out[r] = x[rows[r]]
  virtual void gather_rows(Tensor out, Tensor x, std::span<const int32_t> rows) = 0;
  // out = x / sqrt(mean(x^2) + eps) * weight, per row; an empty weight is all ones; out may be x
  virtual void rms_norm(Tensor out, Tensor x, Tensor weight, float eps) = 0;
  // out = out + rms_norm(x, weight)
  virtual void add_rms_norm(Tensor out, Tensor x, Tensor weight, float eps) = 0;
  // out = (out + x) * scale
  virtual void add(Tensor out, Tensor x, float scale) = 0;
  // x[r,c] = x[r,c] * factor * weight[c]; an empty weight is all ones
  virtual void scale(Tensor x, float factor, Tensor weight) = 0;
  // x = cap * tanh(x / cap)
  virtual void softcap(Tensor x, float cap) = 0;
  // out = gelu(gate) * up;  gelu(g) = 0.5 g (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))); out may be gate
  virtual void gelu_multiply(Tensor out, Tensor gate, Tensor up) = 0;
  // out[r] = [cos(p f_0) .. cos(p f_{n-1}), sin(p f_0) .. sin(p f_{n-1})],  p = positions[r]
  virtual void rope_angles(Tensor out, std::span<const int32_t> positions, std::span<const float> frequencies) = 0;
  // per head of width d, n = d/2: x[i], x[i+n] = x[i] cos_i - x[i+n] sin_i, x[i+n] cos_i + x[i] sin_i
  virtual void rope(Tensor x, int64_t head_dim, Tensor angles) = 0;
  // out[t,n] = sum_k x[t,k] * w[n,k]
  virtual void matmul(Tensor out, Tensor x, const Weight& w) = 0;
  // The cache's numbers of each row's position become k[r], v[r] ([rows, kv_heads * head_dim]).
  virtual void store_kv(const KvView& cache, Tensor k, Tensor v, const StepRows& rows) = 0;
  // out[r,h] = sum_j softmax_j(scale * q[r,h] . K[j,h'])  V[j,h'],  h' = h / (heads / kv_heads),
  // over the cached positions j that the row sees; q and out are [rows, heads * head_dim]; out may be q
  virtual void attend(Tensor out, Tensor q, const KvView& cache, const StepRows& rows, Attend how) = 0;
  // p = softmax(logits[r]); the top_k largest p, divided by their sum, times per_expert_scale[e]
  virtual void route(Routing& out, Tensor logits, Tensor per_expert_scale, int64_t top_k) = 0;
  // out[r * top_k + j] = x[r'] . w[expert(r, j)],  r' = r, or r * top_k + j where x has a row per choice
  virtual void matmul_experts(Tensor out, Tensor x, std::span<const Weight> experts, const Routing& routing) = 0;
  // out[r] = sum_j weights[r,j] * x[r * top_k + j], in the order of j
  virtual void combine_experts(Tensor out, Tensor x, const Routing& routing) = 0;
};

// What ops of that name store keys and values as; makes nothing.
DType cache_dtype_of(std::string_view name);
// "reference" or "cpu" (Code::usage for any other). threads 0: one per physical core that this process may use.
std::unique_ptr<Ops> make_ops(std::string_view name, int threads);

}  // namespace gf
