// bfloat16: the upper half of a float32.
#pragma once

#include <bit>
#include <cstdint>

namespace gf {

inline float float_of_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Nearest, ties to even; a NaN stays one.
inline uint16_t bf16_of_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

inline float rounded_to_bf16(float value) { return float_of_bf16(bf16_of_float(value)); }

}  // namespace gf
