// Reads every byte that a reader gave out, so that the sanitizers see one that is not there.
#pragma once

#include <cstdint>
#include <vector>

#include "attune/core/error.h"
#include "attune/io/convert.h"
#include "attune/io/tensor_file.h"

namespace attune::fuzz {

/// Sums all bytes of each tensor and converts it.
inline void touch(const io::TensorFile& file) {
  for (const io::TensorView& tensor : file.tensors()) {
    ensure(&file.at(tensor.name) == &tensor, "a name leads to another tensor");
    volatile uint8_t sum = 0;
    for (const std::byte byte : tensor.bytes) {
      sum = static_cast<uint8_t>(sum + std::to_integer<uint8_t>(byte));
    }
    // The shape fits the bytes, and a block has at most 32 elements for 18 bytes.
    const int64_t numel = tensor.numel();
    ensure(numel <= 2 * static_cast<int64_t>(tensor.bytes.size()), "too few bytes for a shape");
    if (io::is_float(tensor.dtype) || io::is_quantised(tensor.dtype)) {
      std::vector<float> wide(static_cast<size_t>(numel));
      io::to_f32(tensor, wide);
      std::vector<uint16_t> narrow(static_cast<size_t>(numel));
      io::to_bf16(tensor, narrow);
    }
  }
}

}  // namespace attune::fuzz
