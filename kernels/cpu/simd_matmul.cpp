// out[t,n] = sum_k x[t,k] * w[n,k], bf16 weights, float32 sums. Every (t, n) has one vector of partial sums
// that takes the numbers of its row in order (even ones of a block, then odd ones), and is added up at the
// end: the bits do not depend on the tile it was in, nor on how many rows there are.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/simd_matmul.cpp"
#include "kernels/cpu/simd_targets.h"
// Highway needs this order: it includes this file once per instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace gf::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Rows of x and of w in one tile: as many sums as registers allow, and enough to hide the latency of a
// multiply-add. Wide instruction sets have 32 registers, the others 16.
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileX = 5;
constexpr int kTileW = 4;
#else
constexpr int kTileX = 3;
constexpr int kTileW = 3;
#endif
constexpr int kTileWAlone = 4;       // with one row of x
constexpr int64_t kBlockW = 24;      // rows of w whose block of columns stays in the first-level cache
constexpr int64_t kFewRows = 16;     // up to here weights stream from memory: long runs of a row
constexpr int64_t kBlockFew = 4096;  // columns
constexpr int64_t kBlockMany = 512;

template <int kX, int kW>
HWY_INLINE void accumulate(V (&sums)[kX][kW], const float* const* x, const uint16_t* w, int64_t stride, int64_t begin,
                           int64_t end) {
  const D d;
  const hn::RebindToUnsigned<D> du;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto upper = hn::Set(du, 0xFFFF0000U);
  for (int64_t k = begin; k < end; k += 2 * lanes) {
    V weights[kW];
#pragma GCC unroll 8
    for (int n = 0; n < kW; ++n)
      weights[n] =
          hn::BitCast(d, hn::ShiftLeft<16>(hn::LoadU(du, reinterpret_cast<const uint32_t*>(w + n * stride + k))));
#pragma GCC unroll 8
    for (int t = 0; t < kX; ++t) {
      const V even = hn::LoadU(d, x[t] + k);
#pragma GCC unroll 8
      for (int n = 0; n < kW; ++n) sums[t][n] = hn::MulAdd(even, weights[n], sums[t][n]);
    }
#pragma GCC unroll 8
    for (int n = 0; n < kW; ++n)
      weights[n] = hn::BitCast(d, hn::And(hn::LoadU(du, reinterpret_cast<const uint32_t*>(w + n * stride + k)), upper));
#pragma GCC unroll 8
    for (int t = 0; t < kX; ++t) {
      const V odd = hn::LoadU(d, x[t] + k + lanes);
#pragma GCC unroll 8
      for (int n = 0; n < kW; ++n) sums[t][n] = hn::MulAdd(odd, weights[n], sums[t][n]);
    }
  }
}

// One tile over columns [begin, end). Partial sums come from and go to `saved` ([kX][kW] vectors) unless
// the range begins at the first column or ends at the last.
template <int kX, int kW>
void tile(const MatmulJob& job, int64_t row, int64_t n, int64_t begin, int64_t end, float* saved) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kX][kW];
#pragma GCC unroll 8
  for (int t = 0; t < kX; ++t)
#pragma GCC unroll 8
    for (int c = 0; c < kW; ++c) sums[t][c] = begin == 0 ? hn::Zero(d) : hn::LoadU(d, saved + (t * kW + c) * lanes);
  accumulate<kX, kW>(sums, job.x + row, job.weights + n * job.stride, job.stride, begin, end);
#pragma GCC unroll 8
  for (int t = 0; t < kX; ++t)
#pragma GCC unroll 8
    for (int c = 0; c < kW; ++c) {
      if (end == job.columns) {
        job.out[row + t][n + c] = hn::GetLane(hn::SumOfLanes(d, sums[t][c]));
      } else {
        hn::StoreU(sums[t][c], d, saved + (t * kW + c) * lanes);
      }
    }
}

// The rows of x of one tile against the rows [first, last) of w.
template <int kX, int kW>
void tiles(const MatmulJob& job, int64_t row, int64_t first, int64_t last, int64_t begin, int64_t end, float* saved) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  int64_t n = first;
  for (; n + kW <= last; n += kW, saved += kX * kW * lanes) tile<kX, kW>(job, row, n, begin, end, saved);
  for (; n < last; ++n, saved += kX * lanes) tile<kX, 1>(job, row, n, begin, end, saved);
}

template <int kX>
void rest_tiles(const MatmulJob& job, int64_t row, int64_t first, int64_t last, int64_t begin, int64_t end,
                float* saved) {
  if constexpr (kX > 0) {
    if (job.rows - row == kX) return tiles<kX, kTileW>(job, row, first, last, begin, end, saved);
    rest_tiles<kX - 1>(job, row, first, last, begin, end, saved);
  }
}

void matmul(const MatmulJob& job) {
  if (job.rows == 1) return tiles<1, kTileWAlone>(job, 0, job.first, job.last, 0, job.columns, nullptr);
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  const int64_t step = job.rows <= kFewRows ? kBlockFew : kBlockMany;
  job.scratch->resize(std::max(job.scratch->size(), static_cast<size_t>((job.rows + kTileX) * kBlockW * lanes)));
  for (int64_t first = job.first; first < job.last; first += kBlockW) {
    const int64_t last = std::min(first + kBlockW, job.last);
    for (int64_t begin = 0; begin < job.columns; begin += step) {
      const int64_t end = std::min(begin + step, job.columns);
      float* saved = job.scratch->data();
      int64_t row = 0;
      for (; row + kTileX <= job.rows; row += kTileX, saved += kTileX * kBlockW * lanes)
        tiles<kTileX, kTileW>(job, row, first, last, begin, end, saved);
      rest_tiles<kTileX - 1>(job, row, first, last, begin, end, saved);
    }
  }
}

void fill_matmul(Kernels& kernels) { kernels.matmul = matmul; }

}  // namespace gf::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gf::cpu {

HWY_EXPORT(fill_matmul);
void fill_matmul_kernels(Kernels& kernels, int64_t target_bit) {
  HWY_DISPATCH_TABLE(fill_matmul)[table_index(target_bit, std::size(HWY_DISPATCH_TABLE(fill_matmul)))](kernels);
}

std::vector<Target> usable_targets() {
  std::vector<Target> targets;
  for (const int64_t bit : hwy::SupportedAndGeneratedTargets()) targets.push_back({hwy::TargetName(bit), bit});
  return targets;
}

Kernels kernels_of(const Target& target) {
  Kernels kernels;
  fill_row_kernels(kernels, target.bit);
  fill_matmul_kernels(kernels, target.bit);
  fill_attend_kernels(kernels, target.bit);
  return kernels;
}

}  // namespace gf::cpu
#endif
