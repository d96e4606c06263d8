// Rounding to bf16 and back, one number at a time, in a form that compilers make vectors of.
#pragma once

#include <cstdint>
#include <cstring>

namespace attune::tensor {

/// The nearest bf16 number, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline uint16_t to_bf16(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
  return static_cast<uint16_t>(nan ? 0x7fc0U : rounded);
}

[[gnu::always_inline]] inline float from_bf16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float wide = 0;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

}  // namespace attune::tensor
