// Loops along one row: norms, activations, sums, rotation.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/simd_rows.cpp"
#include "kernels/cpu/simd_targets.h"
// Highway needs this order: it includes this file once per instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <cmath>

#include "kernels/cpu/simd.h"
#include "kernels/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace gf::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// f(lanes at c) for whole vectors, and the same on a filled-up vector for the rest, so that a number's
// result does not depend on where in the row it is. Inputs are read before the output is written.
template <int kInputs, typename F>
HWY_INLINE void map_row(float* out, const float* a, const float* b, const float* c, int64_t columns, F f) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t at = 0;
  for (; at + lanes <= columns; at += lanes) {
    const V va = hn::LoadU(d, a + at);
    const V vb = kInputs > 1 ? hn::LoadU(d, b + at) : va;
    const V vc = kInputs > 2 ? hn::LoadU(d, c + at) : va;
    hn::StoreU(f(va, vb, vc), d, out + at);
  }
  if (at == columns) return;
  const auto rest = static_cast<size_t>(columns - at);
  HWY_ALIGN float in[3][64 / sizeof(float)] = {};
  for (size_t i = 0; i < rest; ++i) {
    in[0][i] = a[at + static_cast<int64_t>(i)];
    if (kInputs > 1) in[1][i] = b[at + static_cast<int64_t>(i)];
    if (kInputs > 2) in[2][i] = c[at + static_cast<int64_t>(i)];
  }
  HWY_ALIGN float result[64 / sizeof(float)];
  hn::Store(f(hn::Load(d, in[0]), hn::Load(d, in[1]), hn::Load(d, in[2])), d, result);
  for (size_t i = 0; i < rest; ++i) out[at + static_cast<int64_t>(i)] = result[i];
}

void pack(float* out, const float* x, int64_t columns) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  const int64_t end = aligned_columns(columns);
  [[maybe_unused]] const D d;
  int64_t block = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; block + 2 * lanes <= columns; block += 2 * lanes) {
    const V low = hn::LoadU(d, x + block);
    const V high = hn::LoadU(d, x + block + lanes);
    hn::StoreU(hn::ConcatEven(d, high, low), d, out + block);
    hn::StoreU(hn::ConcatOdd(d, high, low), d, out + block + lanes);
  }
#endif
  for (; block < end; block += 2 * lanes) {
    for (int64_t i = 0; i < lanes; ++i) {
      const int64_t even = block + 2 * i;
      out[block + i] = even < columns ? x[even] : 0.0F;
      out[block + lanes + i] = even + 1 < columns ? x[even + 1] : 0.0F;
    }
  }
}

float sum_of_squares(const float* x, int64_t columns) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sum0 = hn::Zero(d);
  V sum1 = hn::Zero(d);
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    const V a = hn::LoadU(d, x + c);
    const V b = hn::LoadU(d, x + c + lanes);
    sum0 = hn::MulAdd(a, a, sum0);
    sum1 = hn::MulAdd(b, b, sum1);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; c < columns; ++c) sum += x[c] * x[c];
  return sum;
}

void rms_norm(float* out, const float* x, const float* weight, int64_t columns, float eps, bool add) {
  const D d;
  const float mean = sum_of_squares(x, columns) / static_cast<float>(columns);
  const V factor = hn::Set(d, 1.0F / std::sqrt(mean + eps));
  if (weight == nullptr && !add) {
    map_row<1>(out, x, x, x, columns, [&](V a, V, V) { return hn::Mul(a, factor); });
  } else if (weight == nullptr) {
    map_row<2>(out, x, out, x, columns, [&](V a, V o, V) { return hn::Add(o, hn::Mul(a, factor)); });
  } else if (!add) {
    map_row<2>(out, x, weight, x, columns, [&](V a, V w, V) { return hn::Mul(hn::Mul(a, factor), w); });
  } else {
    map_row<3>(out, x, weight, out, columns, [&](V a, V w, V o) { return hn::Add(o, hn::Mul(hn::Mul(a, factor), w)); });
  }
}

// gelu(g) = g / (1 + exp(-2 u)),  u = sqrt(2/pi) (g + 0.044715 g^3)
void gelu_multiply(float* out, const float* gate, const float* up, int64_t columns) {
  const D d;
  map_row<2>(out, gate, up, gate, columns, [d](V g, V u, V) {
    const V cubic = hn::Mul(hn::Mul(g, g), hn::Mul(g, hn::Set(d, 0.044715F)));
    const V exponent = hn::Mul(hn::Add(g, cubic), hn::Set(d, -2.0F * 0.7978845608028654F));
    // Above 88 the exponential overflows; the quotient is 0 long before.
    const V e = hn::Exp(d, hn::Min(exponent, hn::Set(d, 88.0F)));
    return hn::Mul(hn::Div(g, hn::Add(hn::Set(d, 1.0F), e)), u);
  });
}

void softcap(float* x, int64_t columns, float cap) {
  const D d;
  map_row<1>(x, x, x, x, columns,
             [d, cap](V a, V, V) { return hn::Mul(hn::Tanh(d, hn::Div(a, hn::Set(d, cap))), hn::Set(d, cap)); });
}

void add(float* out, const float* x, int64_t columns, float scale) {
  const D d;
  map_row<2>(out, out, x, x, columns, [d, scale](V a, V b, V) { return hn::Mul(hn::Add(a, b), hn::Set(d, scale)); });
}

void scale(float* x, const float* weight, int64_t columns, float factor) {
  const D d;
  if (weight == nullptr) {
    map_row<1>(x, x, x, x, columns, [d, factor](V a, V, V) { return hn::Mul(a, hn::Set(d, factor)); });
  } else {
    map_row<2>(x, x, weight, x, columns,
               [d, factor](V a, V w, V) { return hn::Mul(hn::Mul(a, hn::Set(d, factor)), w); });
  }
}

void rotate(float* first, float* second, const float* cosine, const float* sine, int64_t pairs) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= pairs; i += lanes) {
    const V a = hn::LoadU(d, first + i);
    const V b = hn::LoadU(d, second + i);
    const V c = hn::LoadU(d, cosine + i);
    const V s = hn::LoadU(d, sine + i);
    hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), d, first + i);
    hn::StoreU(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), d, second + i);
  }
  for (; i < pairs; ++i) {
    const float a = first[i];
    const float b = second[i];
    first[i] = a * cosine[i] - b * sine[i];
    second[i] = b * cosine[i] + a * sine[i];
  }
}

void fill_rows(Kernels& kernels) {
  kernels.lanes = static_cast<int64_t>(hn::Lanes(D()));
  kernels.pack = pack;
  kernels.rms_norm = rms_norm;
  kernels.gelu_multiply = gelu_multiply;
  kernels.softcap = softcap;
  kernels.add = add;
  kernels.scale = scale;
  kernels.rotate = rotate;
}

}  // namespace gf::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gf::cpu {

HWY_EXPORT(fill_rows);
void fill_row_kernels(Kernels& kernels, int64_t target_bit) {
  HWY_DISPATCH_TABLE(fill_rows)[table_index(target_bit, std::size(HWY_DISPATCH_TABLE(fill_rows)))](kernels);
}

}  // namespace gf::cpu
#endif
