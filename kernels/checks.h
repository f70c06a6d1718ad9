// The shapes that ops insist on, the same in every backend. A wrong shape is a defect: Code::internal.
#pragma once

#include <string_view>

#include "kernels/base/error.h"
#include "kernels/ops.h"

namespace gf {

inline void require_shape(std::string_view op, std::string_view what, const Tensor& x, int64_t rows, int64_t columns) {
  if (x.rows == rows && x.columns == columns && x.dtype == DType::f32 && x.stride >= x.columns) return;
  throw Error(Code::internal, op, ": ", what, ": expected F32 [", rows, ", ", columns, "], found ", dtype_name(x.dtype),
              " [", x.rows, ", ", x.columns, "]");
}

inline void require_same(std::string_view op, const Tensor& out, const Tensor& x) {
  require_shape(op, "output", out, x.rows, x.columns);
}

inline void require_norm(std::string_view op, const Tensor& out, const Tensor& x, const Tensor& weight) {
  require_same(op, out, x);
  if (!weight.empty()) require_shape(op, "weight", weight, 1, x.columns);
}

inline void require_bf16(std::string_view op, const Weight& w) {
  if (w.format == WeightFormat::bf16) return;
  throw Error(Code::unsupported, op, ": weights in ", format_name(w.format), " are not supported by this version");
}

inline void require_matmul(const Tensor& out, const Tensor& x, const Weight& w) {
  require_bf16("matmul", w);
  require_shape("matmul", "input", x, x.rows, w.columns);
  require_shape("matmul", "output", out, x.rows, w.rows);
}

inline void require_rows(std::string_view op, const Tensor& x, const StepRows& rows) {
  const auto count = static_cast<size_t>(x.rows);
  if (rows.positions.size() == count && rows.sequences.size() == count) return;
  throw Error(Code::internal, op, ": ", x.rows, " rows, ", rows.positions.size(), " positions and ",
              rows.sequences.size(), " sequences");
}

inline void require_attend(const Tensor& out, const Tensor& q, const KvView& cache, const StepRows& rows,
                           const Attend& how) {
  require_rows("attend", q, rows);
  require_shape("attend", "queries", q, q.rows, how.heads * cache.head_dim);
  require_same("attend", out, q);
  if (cache.kv_heads <= 0 || how.heads % cache.kv_heads != 0)
    throw Error(Code::internal, "attend: ", how.heads, " heads over ", cache.kv_heads, " key-value heads");
}

inline void require_store(const KvView& cache, const Tensor& k, const Tensor& v, const StepRows& rows) {
  require_rows("store_kv", k, rows);
  require_shape("store_kv", "keys", k, k.rows, cache.kv_heads * cache.head_dim);
  require_same("store_kv", v, k);
}

// Each row of `out` is one (row, choice) of the routing; x has a row per row or per choice.
inline void require_experts(const Tensor& out, const Tensor& x, std::span<const Weight> experts,
                            const Routing& routing) {
  const auto choices = static_cast<int64_t>(routing.experts.size());
  if (experts.empty() || routing.top_k <= 0) throw Error(Code::internal, "matmul_experts: no experts");
  for (const Weight& w : experts) require_bf16("matmul_experts", w);
  if (x.rows != choices && x.rows * routing.top_k != choices)
    throw Error(Code::internal, "matmul_experts: ", x.rows, " rows for ", choices, " choices");
  require_shape("matmul_experts", "input", x, x.rows, experts[0].columns);
  require_shape("matmul_experts", "output", out, choices, experts[0].rows);
}

}  // namespace gf
