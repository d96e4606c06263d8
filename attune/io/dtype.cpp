#include "attune/io/dtype.h"

#include <array>

#include "attune/core/error.h"

namespace attune::io {
namespace {

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  int64_t block_elements;
  int64_t block_bytes;
};

// In the order of the enumeration.
constexpr std::array<DTypeFacts, kDTypeCount> kFacts{{
    {DType::kF64, "F64", 1, 8},
    {DType::kF32, "F32", 1, 4},
    {DType::kF16, "F16", 1, 2},
    {DType::kBF16, "BF16", 1, 2},
    {DType::kI64, "I64", 1, 8},
    {DType::kI32, "I32", 1, 4},
    {DType::kI16, "I16", 1, 2},
    {DType::kI8, "I8", 1, 1},
    {DType::kU8, "U8", 1, 1},
    {DType::kBool, "BOOL", 1, 1},
    // Quantised: float16 scale (and minimum), then the packed integers.
    {DType::kQ8_0, "Q8_0", 32, 2 + 32},
    {DType::kQ4_0, "Q4_0", 32, 2 + 16},
    {DType::kQ4_1, "Q4_1", 32, 2 + 2 + 16},
    {DType::kQ5_0, "Q5_0", 32, 2 + 4 + 16},
    {DType::kQ5_1, "Q5_1", 32, 2 + 2 + 4 + 16},
    // Two-level: 8 (Q6_K: 16) scales of 6 (8) bits below the float16 ones.
    {DType::kQ4_K, "Q4_K", 256, 2 + 2 + 12 + 128},
    {DType::kQ5_K, "Q5_K", 256, 2 + 2 + 12 + 32 + 128},
    {DType::kQ6_K, "Q6_K", 256, 128 + 64 + 16 + 2},
}};

constexpr bool facts_in_order() {
  for (size_t i = 0; i < kFacts.size(); ++i) {
    if (static_cast<size_t>(kFacts[i].dtype) != i) {
      return false;
    }
  }
  return true;
}
static_assert(facts_in_order());

const DTypeFacts& facts(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  ensure(index < kFacts.size(), "DType {} does not exist", index);
  return kFacts[index];
}

}  // namespace

std::string_view name(DType dtype) {
  return facts(dtype).name;
}

int64_t block_elements(DType dtype) {
  return facts(dtype).block_elements;
}

int64_t block_bytes(DType dtype) {
  return facts(dtype).block_bytes;
}

bool is_float(DType dtype) {
  return dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 ||
         dtype == DType::kBF16;
}

bool is_quantised(DType dtype) {
  return facts(dtype).block_elements > 1;
}

std::optional<int64_t> size_bytes(DType dtype, int64_t numel) {
  const DTypeFacts& of = facts(dtype);
  int64_t size = 0;
  if (numel < 0 || numel % of.block_elements != 0 ||
      __builtin_mul_overflow(numel / of.block_elements, of.block_bytes, &size)) {
    return std::nullopt;
  }
  return size;
}

std::optional<DType> from_safetensors(std::string_view text) {
  for (const DTypeFacts& of : kFacts) {
    if (of.block_elements == 1 && of.name == text) {
      return of.dtype;
    }
  }
  return std::nullopt;
}

}  // namespace attune::io
