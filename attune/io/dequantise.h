// The block formats of GGUF. Each function turns `blocks` blocks at `in` (unaligned) into
// block_elements(dtype) floats each, with the float32 operations of the `gguf` package in its
// order, so that results are equal to the bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace attune::io {

/// x = d q, q in [-128, 127].
void dequantise_q8_0(const std::byte* in, int64_t blocks, float* out);
/// x = d (q - 8), q of 4 bits; the low halves of the bytes come first.
void dequantise_q4_0(const std::byte* in, int64_t blocks, float* out);
/// x = d q + m, q of 4 bits.
void dequantise_q4_1(const std::byte* in, int64_t blocks, float* out);
/// x = d (q - 16), q of 5 bits, the fifth in a word of 32 bits.
void dequantise_q5_0(const std::byte* in, int64_t blocks, float* out);
/// x = d q + m, q of 5 bits.
void dequantise_q5_1(const std::byte* in, int64_t blocks, float* out);
/// x = (d s) q - (d_min m), q of 4 bits; s and m of 6 bits for each 32 elements.
void dequantise_q4_k(const std::byte* in, int64_t blocks, float* out);
/// The same with q of 5 bits.
void dequantise_q5_k(const std::byte* in, int64_t blocks, float* out);
/// x = (d s) (q - 32), q of 6 bits; s of 8 bits for each 16 elements.
void dequantise_q6_k(const std::byte* in, int64_t blocks, float* out);

}  // namespace attune::io
