// Tensor bytes to numbers. Quantised blocks give exactly the values that the `gguf` package's
// dequantisation gives.
#pragma once

#include <cstdint>
#include <span>

#include "attune/io/tensor_file.h"

namespace attune::io {

/// All elements as float32. F64 is rounded to nearest even.
/// @throws Error if the type is an integer type.
/// @throws InternalError if `out` is not numel() long.
void to_f32(const TensorView& tensor, std::span<float> out);

/// Elements [first, first + out.size()), so that pieces can be converted in parallel. Both ends
/// must be multiples of block_elements(dtype).
void to_f32(const TensorView& tensor, int64_t first, int64_t count, std::span<float> out);

/// All elements as bfloat16 bit patterns: the float32 value rounded to nearest even, NaN kept NaN.
void to_bf16(const TensorView& tensor, std::span<uint16_t> out);
void to_bf16(const TensorView& tensor, int64_t first, int64_t count, std::span<uint16_t> out);

/// Round to nearest even; a NaN stays a (quiet) NaN.
uint16_t bf16_from_f32(float value);
float f32_from_bf16(uint16_t bits);
float f32_from_f16(uint16_t bits);

}  // namespace attune::io
