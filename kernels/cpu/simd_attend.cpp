// Attention of one row's heads over one head of cached keys and values, page by page, with the largest
// score and the sum so far carried along (Milakov and Gimelshein 2018). Pages are cut at absolute positions, so
// the bits depend on the row's own positions only.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/simd_attend.cpp"
#include "kernels/cpu/simd_targets.h"
// Highway needs this order: it includes this file once per instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/simd.h"
#include "kernels/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace gf::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using DU = hn::RebindToUnsigned<D>;
using V = hn::Vec<D>;

constexpr float kNothing = -1e30F;  // a score that no key reaches; its exponential is 0

HWY_INLINE V even_half(const uint16_t* bits) {
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::LoadU(DU(), reinterpret_cast<const uint32_t*>(bits))));
}

HWY_INLINE V odd_half(const uint16_t* bits) {
  return hn::BitCast(D(),
                     hn::And(hn::LoadU(DU(), reinterpret_cast<const uint32_t*>(bits)), hn::Set(DU(), 0xFFFF0000U)));
}

// scores[h * page + t] = q[h] . key[t], for kHeads heads at once
template <int kHeads>
void score(float* scores, int64_t page, const float* q, const uint16_t* key, int64_t dim, int64_t t) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kHeads];
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) sums[h] = hn::Zero(d);
  for (int64_t k = 0; k < dim; k += 2 * lanes) {
    const V even = even_half(key + k);
    const V odd = odd_half(key + k);
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      sums[h] = hn::MulAdd(even, hn::LoadU(d, q + h * dim + k), sums[h]);
      sums[h] = hn::MulAdd(odd, hn::LoadU(d, q + h * dim + k + lanes), sums[h]);
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) scores[h * page + t] = hn::GetLane(hn::SumOfLanes(d, sums[h]));
}

// sums[h] += sum_t weights[h * page + t] * value[t], for kHeads heads at once
template <int kHeads>
void add_values(float* sums, int64_t page, const float* weights, const uint16_t* values, int64_t dim, int64_t first,
                int64_t last) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t k = 0; k < dim; k += 2 * lanes) {
    V even[kHeads];
    V odd[kHeads];
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      even[h] = hn::LoadU(d, sums + h * dim + k);
      odd[h] = hn::LoadU(d, sums + h * dim + k + lanes);
    }
    for (int64_t t = first; t <= last; ++t) {
      const V value_even = even_half(values + t * dim + k);
      const V value_odd = odd_half(values + t * dim + k);
#pragma GCC unroll 4
      for (int h = 0; h < kHeads; ++h) {
        const V weight = hn::Set(d, weights[h * page + t]);
        even[h] = hn::MulAdd(weight, value_even, even[h]);
        odd[h] = hn::MulAdd(weight, value_odd, odd[h]);
      }
    }
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      hn::StoreU(even[h], d, sums + h * dim + k);
      hn::StoreU(odd[h], d, sums + h * dim + k + lanes);
    }
  }
}

// Turns a page's scores into weights relative to the new largest score; what was summed before shrinks.
void weigh(float* scores, int64_t page, float scale, float& largest, float& total, float* sums, int64_t dim) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V high = hn::Set(d, kNothing);
  for (int64_t t = 0; t < page; t += lanes) {
    const V scaled = hn::Mul(hn::LoadU(d, scores + t), hn::Set(d, scale));
    hn::StoreU(scaled, d, scores + t);
    high = hn::Max(high, scaled);
  }
  const float now = std::max(largest, hn::GetLane(hn::MaxOfLanes(d, high)));
  V sum = hn::Zero(d);
  for (int64_t t = 0; t < page; t += lanes) {
    const V weight = hn::Exp(d, hn::Sub(hn::LoadU(d, scores + t), hn::Set(d, now)));
    hn::StoreU(weight, d, scores + t);
    sum = hn::Add(sum, weight);
  }
  const float shrink = std::exp(largest - now);
  total = total * shrink + hn::GetLane(hn::SumOfLanes(d, sum));
  largest = now;
  if (shrink == 1.0F) return;
  for (int64_t k = 0; k < dim; k += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, sums + k), hn::Set(d, shrink)), d, sums + k);
}

template <typename F1, typename F2, typename F4>
void by_heads(int64_t heads, F1 one, F2 two, F4 four) {
  int64_t h = 0;
  for (; h + 4 <= heads; h += 4) four(h);
  for (; h + 2 <= heads; h += 2) two(h);
  if (h < heads) one(h);
}

void attend(const AttendJob& job) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  const int64_t dim = aligned_columns(job.head_dim);
  const int64_t page = job.page_tokens;
  job.scratch->resize(std::max(job.scratch->size(), static_cast<size_t>(job.heads * (2 * dim + page + 2))));
  float* const q = job.scratch->data();
  float* const sums = q + job.heads * dim;
  float* const scores = sums + job.heads * dim;
  float* const largest = scores + job.heads * page;
  float* const total = largest + job.heads;
  for (int64_t h = 0; h < job.heads; ++h) job.pack(q + h * dim, job.q + h * job.head_dim, job.head_dim);
  std::fill_n(sums, job.heads * dim, 0.0F);
  std::fill_n(largest, job.heads, kNothing);
  std::fill_n(total, job.heads, 0.0F);

  for (int64_t p = job.first / page; p <= job.last / page; ++p) {
    const int64_t first = std::max(job.first - p * page, int64_t{0});
    const int64_t last = std::min(job.last - p * page, page - 1);
    const int64_t at = job.pages[p] * job.page_stride + job.head_offset;
    const uint16_t* keys = job.keys + at;
    const uint16_t* values = job.values + at;
    // A score outside the row's sight stays so after the scale, which is positive.
    std::fill_n(scores, job.heads * page, kNothing / std::min(job.scale, 1.0F));
    for (int64_t t = first; t <= last; ++t)
      by_heads(
          job.heads, [&](int64_t h) { score<1>(scores + h * page, page, q + h * dim, keys + t * dim, dim, t); },
          [&](int64_t h) { score<2>(scores + h * page, page, q + h * dim, keys + t * dim, dim, t); },
          [&](int64_t h) { score<4>(scores + h * page, page, q + h * dim, keys + t * dim, dim, t); });
    for (int64_t h = 0; h < job.heads; ++h)
      weigh(scores + h * page, page, job.scale, largest[h], total[h], sums + h * dim, dim);
    by_heads(
        job.heads, [&](int64_t h) { add_values<1>(sums + h * dim, page, scores + h * page, values, dim, first, last); },
        [&](int64_t h) { add_values<2>(sums + h * dim, page, scores + h * page, values, dim, first, last); },
        [&](int64_t h) { add_values<4>(sums + h * dim, page, scores + h * page, values, dim, first, last); });
  }
  for (int64_t h = 0; h < job.heads; ++h) {
    const float factor = 1.0F / total[h];
    for (int64_t i = 0; i < job.head_dim; ++i) {
      // Undo the packing: number i of its block is at i / 2, the odd ones `lanes` later.
      const int64_t block = i / (2 * lanes) * (2 * lanes);
      const int64_t within = i - block;
      job.out[h * job.head_dim + i] = sums[h * dim + block + within / 2 + (within % 2) * lanes] * factor;
    }
  }
}

void fill_attend(Kernels& kernels) { kernels.attend = attend; }

}  // namespace gf::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gf::cpu {

HWY_EXPORT(fill_attend);
void fill_attend_kernels(Kernels& kernels, int64_t target_bit) {
  HWY_DISPATCH_TABLE(fill_attend)[table_index(target_bit, std::size(HWY_DISPATCH_TABLE(fill_attend)))](kernels);
}

}  // namespace gf::cpu
#endif
