// The specification of every op: float32, one thread, plain loops. Weights are bf16 as the checkpoint
// has them (exact in float32); the cache is float32.
#pragma once

#include "kernels/ops.h"

namespace gf {

class ReferenceOps : public Ops {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }
  [[nodiscard]] DType cache_dtype() const override { return DType::f32; }
  Buffer allocate(uint64_t bytes) override { return allocate_host(bytes); }

  void embed(Tensor out, const Weight& table, std::span<const int32_t> tokens, float scale) override;
  void gather_rows(Tensor out, Tensor x, std::span<const int32_t> rows) override;
  void rms_norm(Tensor out, Tensor x, Tensor weight, float eps) override;
  void add_rms_norm(Tensor out, Tensor x, Tensor weight, float eps) override;
  void add(Tensor out, Tensor x, float scale) override;
  void scale(Tensor x, float factor, Tensor weight) override;
  void softcap(Tensor x, float cap) override;
  void gelu_multiply(Tensor out, Tensor gate, Tensor up) override;
  void rope_angles(Tensor out, std::span<const int32_t> positions, std::span<const float> frequencies) override;
  void rope(Tensor x, int64_t head_dim, Tensor angles) override;
  void matmul(Tensor out, Tensor x, const Weight& w) override;
  void store_kv(const KvView& cache, Tensor k, Tensor v, const StepRows& rows) override;
  void attend(Tensor out, Tensor q, const KvView& cache, const StepRows& rows, Attend how) override;
  void route(Routing& out, Tensor logits, Tensor per_expert_scale, int64_t top_k) override;
  void matmul_experts(Tensor out, Tensor x, std::span<const Weight> experts, const Routing& routing) override;
  void combine_experts(Tensor out, Tensor x, const Routing& routing) override;
};

}  // namespace gf
