// What a tensor's bytes mean: plain numbers, or blocks of quantised numbers as in GGUF files.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace attune::io {

/// Plain types have one element a block; quantised types pack 32 or 256 elements a block.
enum class DType : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ4_K,
  kQ5_K,
  kQ6_K,
};

/// How many values DType has; they count from 0.
inline constexpr int kDTypeCount = 18;

/// "F32", "BOOL", "Q4_K": the names of safetensors for plain types, of GGUF for the others.
std::string_view name(DType dtype);

/// Elements that share one block: 1, 32 or 256.
int64_t block_elements(DType dtype);
/// Bytes of one block.
int64_t block_bytes(DType dtype);

/// True for F64, F32, F16 and BF16.
bool is_float(DType dtype);
/// True for the block types.
bool is_quantised(DType dtype);

/// Bytes of `numel` elements, or nothing if that overflows, is negative, or `numel` is no whole
/// number of blocks.
std::optional<int64_t> size_bytes(DType dtype, int64_t numel);

/// The plain type that safetensors calls `text`, or nothing.
std::optional<DType> from_safetensors(std::string_view text);

}  // namespace attune::io
