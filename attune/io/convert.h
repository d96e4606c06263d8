// Tensor bytes to numbers. Quantised blocks give exactly the values that the `gguf` package's
// dequantisation gives.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "attune/io/tensor_file.h"

namespace attune::io {

/// All elements as float32. F64 is rounded to nearest even.
/// @throws Error if the type is an integer type.
/// @throws InternalError if `out` is not numel() long.
void to_f32(const TensorView& tensor, std::span<float> out);

/// Elements [first, first + count), so that pieces can be converted in parallel. Both ends
/// must be multiples of block_elements(dtype).
void to_f32(const TensorView& tensor, int64_t first, int64_t count, std::span<float> out);

/// All elements as bfloat16 bit patterns: the float32 value rounded to nearest even, NaN kept NaN.
void to_bf16(const TensorView& tensor, std::span<uint16_t> out);
void to_bf16(const TensorView& tensor, int64_t first, int64_t count, std::span<uint16_t> out);

/// Round to nearest even; a NaN stays a (quiet) NaN.
inline uint16_t bf16_from_f32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/// Exact.
inline float f32_from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Exact, subnormal numbers included.
inline float f32_from_f16(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const uint32_t exponent = magnitude & 0x0f800000;
  // The exponent's bias is 15 in float16 and 127 in float32.
  const uint32_t rebiased = magnitude + (112U << 23);
  // A subnormal has no leading one: put it there by the exponent, and take its value off again.
  const float subnormal = std::bit_cast<float>(rebiased + (1U << 23)) - 0x1p-14F;
  const uint32_t finite = exponent == 0 ? std::bit_cast<uint32_t>(subnormal) : rebiased;
  const uint32_t special = exponent == 0x0f800000 ? rebiased + (112U << 23) : finite;
  return std::bit_cast<float>(special | static_cast<uint32_t>(bits & 0x8000) << 16);
}

}  // namespace attune::io
