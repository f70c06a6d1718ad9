// Which instruction sets the SIMD loops are compiled for, and where each one's entry is in the tables that
// HWY_EXPORT makes. To be included before Highway.
#pragma once

// SSSE3 machines are served by the plain code; AVX3_DL gains nothing here.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)

#include <hwy/targets.h>

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace gf::cpu {

inline size_t table_index(int64_t target_bit, size_t entries) {
  if (entries == 1) return 0;  // a build for one instruction set
  hwy::ChosenTarget chosen;
  chosen.Update(target_bit);
  return chosen.GetIndex();
}

}  // namespace gf::cpu
