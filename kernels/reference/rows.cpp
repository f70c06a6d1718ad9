// Ops that work along one row: embedding, norms, sums, activations.
#include <cmath>

#include "kernels/bf16.h"
#include "kernels/checks.h"
#include "kernels/reference/reference_ops.h"

namespace gf {
namespace {

// 1 / sqrt(mean(x^2) + eps)
float inverse_rms(const float* x, int64_t columns, float eps) {
  float sum = 0;
  for (int64_t c = 0; c < columns; ++c) sum += x[c] * x[c];
  return 1.0F / std::sqrt(sum / static_cast<float>(columns) + eps);
}

float gelu(float g) {
  constexpr float kSqrt2OverPi = 0.7978845608028654F;
  return 0.5F * g * (1.0F + std::tanh(kSqrt2OverPi * (g + 0.044715F * g * g * g)));
}

}  // namespace

void ReferenceOps::embed(Tensor out, const Weight& table, std::span<const int32_t> tokens, float scale) {
  require_bf16("embed", table);
  require_shape("embed", "output", out, static_cast<int64_t>(tokens.size()), table.columns);
  for (int64_t r = 0; r < out.rows; ++r) {
    const int64_t token = tokens[static_cast<size_t>(r)];
    if (token < 0 || token >= table.rows) throw Error(Code::internal, "embed: token ", token, " of ", table.rows);
    const uint16_t* row = static_cast<const uint16_t*>(table.data) + token * table.stride;
    for (int64_t c = 0; c < out.columns; ++c) out.f32(r)[c] = float_of_bf16(row[c]) * scale;
  }
}

void ReferenceOps::gather_rows(Tensor out, Tensor x, std::span<const int32_t> rows) {
  require_shape("gather_rows", "output", out, static_cast<int64_t>(rows.size()), x.columns);
  for (int64_t r = 0; r < out.rows; ++r) {
    const float* from = x.row_range(rows[static_cast<size_t>(r)], 1).f32();
    for (int64_t c = 0; c < out.columns; ++c) out.f32(r)[c] = from[c];
  }
}

void ReferenceOps::rms_norm(Tensor out, Tensor x, Tensor weight, float eps) {
  require_norm("rms_norm", out, x, weight);
  for (int64_t r = 0; r < x.rows; ++r) {
    const float factor = inverse_rms(x.f32(r), x.columns, eps);
    for (int64_t c = 0; c < x.columns; ++c)
      out.f32(r)[c] = x.f32(r)[c] * factor * (weight.empty() ? 1.0F : weight.f32()[c]);
  }
}

void ReferenceOps::add_rms_norm(Tensor out, Tensor x, Tensor weight, float eps) {
  require_norm("add_rms_norm", out, x, weight);
  for (int64_t r = 0; r < x.rows; ++r) {
    const float factor = inverse_rms(x.f32(r), x.columns, eps);
    for (int64_t c = 0; c < x.columns; ++c)
      out.f32(r)[c] += x.f32(r)[c] * factor * (weight.empty() ? 1.0F : weight.f32()[c]);
  }
}

void ReferenceOps::add(Tensor out, Tensor x, float scale) {
  require_same("add", out, x);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.columns; ++c) out.f32(r)[c] = (out.f32(r)[c] + x.f32(r)[c]) * scale;
}

void ReferenceOps::scale(Tensor x, float factor, Tensor weight) {
  require_norm("scale", x, x, weight);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.columns; ++c)
      x.f32(r)[c] = x.f32(r)[c] * factor * (weight.empty() ? 1.0F : weight.f32()[c]);
}

void ReferenceOps::softcap(Tensor x, float cap) {
  require_same("softcap", x, x);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.columns; ++c) x.f32(r)[c] = cap * std::tanh(x.f32(r)[c] / cap);
}

void ReferenceOps::gelu_multiply(Tensor out, Tensor gate, Tensor up) {
  require_same("gelu_multiply", out, gate);
  require_same("gelu_multiply", up, gate);
  for (int64_t r = 0; r < out.rows; ++r)
    for (int64_t c = 0; c < out.columns; ++c) out.f32(r)[c] = gelu(gate.f32(r)[c]) * up.f32(r)[c];
}

}  // namespace gf
