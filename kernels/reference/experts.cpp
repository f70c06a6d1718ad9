// Which experts a token goes to, and how their answers are put together.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/checks.h"
#include "kernels/reference/reference_ops.h"

namespace gf {

void ReferenceOps::route(Routing& out, Tensor logits, Tensor per_expert_scale, int64_t top_k) {
  require_shape("route", "scale", per_expert_scale, 1, logits.columns);
  if (top_k < 1 || top_k > logits.columns) throw Error(Code::internal, "route: ", top_k, " of ", logits.columns);
  out.top_k = top_k;
  out.experts.clear();
  out.weights.clear();
  std::vector<int32_t> order(static_cast<size_t>(logits.columns));
  for (int64_t r = 0; r < logits.rows; ++r) {
    const float* row = logits.f32(r);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return row[a] > row[b]; });
    // The softmax over all experts and the division by the sum of the chosen cancel to a softmax over
    // the chosen.
    float sum = 0;
    for (int64_t j = 0; j < top_k; ++j) sum += std::exp(row[order[static_cast<size_t>(j)]] - row[order[0]]);
    for (int64_t j = 0; j < top_k; ++j) {
      const int32_t expert = order[static_cast<size_t>(j)];
      out.experts.push_back(expert);
      out.weights.push_back(std::exp(row[expert] - row[order[0]]) / sum * per_expert_scale.f32()[expert]);
    }
  }
}

void ReferenceOps::combine_experts(Tensor out, Tensor x, const Routing& routing) {
  require_shape("combine_experts", "input", x, out.rows * routing.top_k, out.columns);
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t c = 0; c < out.columns; ++c) {
      float sum = 0;
      for (int64_t j = r * routing.top_k; j < (r + 1) * routing.top_k; ++j)
        sum += routing.weights[static_cast<size_t>(j)] * x.f32(j)[c];
      out.f32(r)[c] = sum;
    }
  }
}

}  // namespace gf
