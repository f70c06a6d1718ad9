// Rotary positions, the key-value cache and attention.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/checks.h"
#include "kernels/reference/reference_ops.h"

namespace gf {

void ReferenceOps::rope_angles(Tensor out, std::span<const int32_t> positions, std::span<const float> frequencies) {
  const auto pairs = static_cast<int64_t>(frequencies.size());
  require_shape("rope_angles", "output", out, static_cast<int64_t>(positions.size()), 2 * pairs);
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t i = 0; i < pairs; ++i) {
      const float angle = static_cast<float>(positions[static_cast<size_t>(r)]) * frequencies[static_cast<size_t>(i)];
      out.f32(r)[i] = std::cos(angle);
      out.f32(r)[pairs + i] = std::sin(angle);
    }
  }
}

void ReferenceOps::rope(Tensor x, int64_t head_dim, Tensor angles) {
  require_shape("rope", "angles", angles, x.rows, head_dim);
  const int64_t pairs = head_dim / 2;
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* cosine = angles.f32(r);
    const float* sine = cosine + pairs;
    for (float* head = x.f32(r); head < x.f32(r) + x.columns; head += head_dim) {
      for (int64_t i = 0; i < pairs; ++i) {
        const float first = head[i];
        const float second = head[i + pairs];
        head[i] = first * cosine[i] - second * sine[i];
        head[i + pairs] = second * cosine[i] + first * sine[i];
      }
    }
  }
}

void ReferenceOps::store_kv(const KvView& cache, Tensor k, Tensor v, const StepRows& rows) {
  require_store(cache, k, v, rows);
  for (int64_t r = 0; r < k.rows; ++r) {
    const auto row = static_cast<size_t>(r);
    for (int64_t h = 0; h < cache.kv_heads; ++h) {
      const int64_t at = cache.offset(rows.sequences[row], rows.positions[row], h);
      std::copy_n(k.f32(r) + h * cache.head_dim, cache.head_dim, static_cast<float*>(cache.keys) + at);
      std::copy_n(v.f32(r) + h * cache.head_dim, cache.head_dim, static_cast<float*>(cache.values) + at);
    }
  }
}

void ReferenceOps::attend(Tensor out, Tensor q, const KvView& cache, const StepRows& rows, Attend how) {
  require_attend(out, q, cache, rows, how);
  const int64_t dim = cache.head_dim;
  std::vector<float> p;
  for (int64_t r = 0; r < q.rows; ++r) {
    const int32_t sequence = rows.sequences[static_cast<size_t>(r)];
    const int64_t last = rows.positions[static_cast<size_t>(r)];
    const int64_t first = how.window == 0 ? 0 : std::max<int64_t>(0, last - how.window + 1);
    for (int64_t h = 0; h < how.heads; ++h) {
      const int64_t kv_head = h / (how.heads / cache.kv_heads);
      const float* query = q.f32(r) + h * dim;
      p.assign(static_cast<size_t>(last - first + 1), 0.0F);
      float largest = -INFINITY;
      for (int64_t j = first; j <= last; ++j) {
        const float* key = static_cast<const float*>(cache.keys) + cache.offset(sequence, j, kv_head);
        float score = 0;
        for (int64_t d = 0; d < dim; ++d) score += query[d] * key[d];
        p[static_cast<size_t>(j - first)] = how.scale * score;
        largest = std::max(largest, how.scale * score);
      }
      float sum = 0;
      for (float& score : p) sum += score = std::exp(score - largest);
      float* result = out.f32(r) + h * dim;
      std::fill_n(result, dim, 0.0F);
      for (int64_t j = first; j <= last; ++j) {
        const float* value = static_cast<const float*>(cache.values) + cache.offset(sequence, j, kv_head);
        const float weight = p[static_cast<size_t>(j - first)] / sum;
        for (int64_t d = 0; d < dim; ++d) result[d] += weight * value[d];
      }
    }
  }
}

}  // namespace gf
