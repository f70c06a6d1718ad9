// The inner loops of the CPU ops: each handles what one thread does at a time. There is one table per
// instruction set, all compiled from the same source (Highway).
//
// bf16 numbers are read two at a time, as the halves of a 32-bit lane: the even one is the lane shifted
// left by 16, the odd one the lane with its lower half cleared. What they are multiplied with is packed to
// match: of each 2 * lanes numbers first the even ones, then the odd ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gf::cpu {

struct MatmulJob {
  const float* const* x;  // rows, packed, aligned_columns(columns) long
  float* const* out;      // rows of the result; columns [first, last) are written
  int64_t rows;
  const uint16_t* weights;
  int64_t stride;   // of the weights, a multiple of kColumnAlign
  int64_t columns;  // aligned_columns
  int64_t first, last;
  std::vector<float>* scratch;  // of this thread
};

// One row's query heads that share one head of keys and values.
struct AttendJob {
  const float* q;  // [heads, head_dim]
  float* out;      // the same; may be q
  int64_t heads;
  int64_t head_dim;
  const uint16_t* keys;  // of the whole layer
  const uint16_t* values;
  const int32_t* pages;                                       // of this sequence
  int64_t page_tokens;                                        // 32
  int64_t page_stride;                                        // numbers from one page to the next
  int64_t head_offset;                                        // numbers from a page's start to this head
  int64_t first, last;                                        // positions seen
  float scale;                                                // above 0
  void (*pack)(float* out, const float* x, int64_t columns);  // the table's own
  std::vector<float>* scratch;
};

struct Kernels {
  int64_t lanes = 0;                                                    // float32 per vector
  void (*pack)(float* out, const float* x, int64_t columns) = nullptr;  // fills up with zeros to aligned_columns
  void (*matmul)(const MatmulJob& job) = nullptr;
  void (*attend)(const AttendJob& job) = nullptr;
  // x / sqrt(mean(x^2) + eps) * weight (null: ones); added to out if `add`
  void (*rms_norm)(float* out, const float* x, const float* weight, int64_t columns, float eps, bool add) = nullptr;
  void (*gelu_multiply)(float* out, const float* gate, const float* up, int64_t columns) = nullptr;
  void (*softcap)(float* x, int64_t columns, float cap) = nullptr;
  void (*add)(float* out, const float* x, int64_t columns, float scale) = nullptr;
  void (*scale)(float* x, const float* weight, int64_t columns, float factor) = nullptr;
  // a head's two halves, with the cosines and sines of its pairs
  void (*rotate)(float* first, float* second, const float* cosine, const float* sine, int64_t pairs) = nullptr;
};

struct Target {
  std::string name;
  int64_t bit = 0;  // Highway's
};
// Those compiled in that this CPU has, best first.
std::vector<Target> usable_targets();
Kernels kernels_of(const Target& target);

// Each fills its part of the table for the target.
void fill_row_kernels(Kernels& kernels, int64_t target_bit);
void fill_matmul_kernels(Kernels& kernels, int64_t target_bit);
void fill_attend_kernels(Kernels& kernels, int64_t target_bit);

}  // namespace gf::cpu
