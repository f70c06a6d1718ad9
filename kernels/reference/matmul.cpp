// out[t,n] = sum_k x[t,k] * w[n,k]
#include <array>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/checks.h"
#include "kernels/reference/reference_ops.h"

namespace gf {
namespace {

// Sixteen partial sums, k modulo 16, added at the end in order: closer to the exact sum than one, and
// the real widths finish in seconds.
float dot(const float* x, const float* w, int64_t columns) {
  constexpr int64_t kSums = 16;
  std::array<float, kSums> sums{};
  int64_t k = 0;
  for (; k + kSums <= columns; k += kSums)
    for (int64_t i = 0; i < kSums; ++i) sums[static_cast<size_t>(i)] += x[k + i] * w[k + i];
  for (; k < columns; ++k) sums[static_cast<size_t>(k % kSums)] += x[k] * w[k];
  float sum = 0;
  for (const float part : sums) sum += part;
  return sum;
}

void widen_row(const Weight& w, int64_t row, std::vector<float>& out) {
  const uint16_t* bits = static_cast<const uint16_t*>(w.data) + row * w.stride;
  out.resize(static_cast<size_t>(w.columns));
  for (int64_t k = 0; k < w.columns; ++k) out[static_cast<size_t>(k)] = float_of_bf16(bits[k]);
}

}  // namespace

void ReferenceOps::matmul(Tensor out, Tensor x, const Weight& w) {
  require_matmul(out, x, w);
  std::vector<float> row;
  for (int64_t n = 0; n < w.rows; ++n) {
    widen_row(w, n, row);
    for (int64_t t = 0; t < x.rows; ++t) out.f32(t)[n] = dot(x.f32(t), row.data(), w.columns);
  }
}

void ReferenceOps::matmul_experts(Tensor out, Tensor x, std::span<const Weight> experts, const Routing& routing) {
  require_experts(out, x, experts, routing);
  const int64_t per_row = out.rows / x.rows;  // top_k, or 1 where x has a row per choice
  for (int64_t choice = 0; choice < out.rows; ++choice) {
    const auto expert = static_cast<size_t>(routing.experts[static_cast<size_t>(choice)]);
    matmul(out.row_range(choice, 1), x.row_range(choice / per_row, 1), experts[expert]);
  }
}

}  // namespace gf
