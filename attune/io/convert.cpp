#include "attune/io/convert.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "attune/core/error.h"
#include "attune/io/dequantise.h"

namespace attune::io {
namespace {

template <class T>
T load_at(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Vectorise the element loops.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O3")
#endif

void f64_to_f32(const std::byte* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(load_at<double>(in + 8 * i));
  }
}

void f16_to_f32(const std::byte* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = f32_from_f16(load_at<uint16_t>(in + 2 * i));
  }
}

void bf16_to_f32(const std::byte* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = f32_from_bf16(load_at<uint16_t>(in + 2 * i));
  }
}

void f32_to_bf16(const float* in, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = bf16_from_f32(in[i]);
  }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

// `count` elements from `in` on, whole blocks.
void elements_to_f32(const TensorView& tensor, const std::byte* in, int64_t count, float* out) {
  const int64_t blocks = count / block_elements(tensor.dtype);
  switch (tensor.dtype) {
    case DType::kF64:
      return f64_to_f32(in, count, out);
    case DType::kF32:
      std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
      return;
    case DType::kF16:
      return f16_to_f32(in, count, out);
    case DType::kBF16:
      return bf16_to_f32(in, count, out);
    case DType::kQ8_0:
      return dequantise_q8_0(in, blocks, out);
    case DType::kQ4_0:
      return dequantise_q4_0(in, blocks, out);
    case DType::kQ4_1:
      return dequantise_q4_1(in, blocks, out);
    case DType::kQ5_0:
      return dequantise_q5_0(in, blocks, out);
    case DType::kQ5_1:
      return dequantise_q5_1(in, blocks, out);
    case DType::kQ4_K:
      return dequantise_q4_k(in, blocks, out);
    case DType::kQ5_K:
      return dequantise_q5_k(in, blocks, out);
    case DType::kQ6_K:
      return dequantise_q6_k(in, blocks, out);
    case DType::kI64:
    case DType::kI32:
    case DType::kI16:
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      break;
  }
  throw Error(fmt::format("tensor \"{}\": expected floats or quantised blocks, got {}",
                          tensor.name,
                          name(tensor.dtype)));
}

// Checks the range and gives the place of its first byte.
const std::byte* range_start(const TensorView& tensor, int64_t first, int64_t count, size_t room) {
  const int64_t numel = tensor.numel();
  ensure(size_bytes(tensor.dtype, numel) == static_cast<int64_t>(tensor.bytes.size()),
         "tensor {}: {} bytes do not hold {} {}",
         tensor.name,
         tensor.bytes.size(),
         name(tensor.dtype),
         shape_text(tensor.shape));
  const int64_t block = block_elements(tensor.dtype);
  ensure(first >= 0 && count >= 0 && first <= numel && count <= numel - first &&
             first % block == 0 && count % block == 0,
         "tensor {}: [{}, {} + {}) is no range of whole blocks of {} among {} elements",
         tensor.name,
         first,
         first,
         count,
         block,
         numel);
  ensure(room == static_cast<size_t>(count),
         "tensor {}: expected room for {} elements, got {}",
         tensor.name,
         count,
         room);
  return tensor.bytes.data() + first / block * block_bytes(tensor.dtype);
}

}  // namespace

void to_f32(const TensorView& tensor, int64_t first, int64_t count, std::span<float> out) {
  const std::byte* const in = range_start(tensor, first, count, out.size());
  if (count > 0) {
    elements_to_f32(tensor, in, count, out.data());
  }
}

void to_f32(const TensorView& tensor, std::span<float> out) {
  to_f32(tensor, 0, tensor.numel(), out);
}

void to_bf16(const TensorView& tensor, int64_t first, int64_t count, std::span<uint16_t> out) {
  const std::byte* in = range_start(tensor, first, count, out.size());
  if (tensor.dtype == DType::kBF16) {
    if (count > 0) {
      std::memcpy(out.data(), in, static_cast<size_t>(count) * sizeof(uint16_t));
    }
    return;
  }
  // Small enough for the first cache, a multiple of every block.
  constexpr int64_t kPiece = 2048;
  std::array<float, kPiece> piece;
  const int64_t block = block_elements(tensor.dtype);
  for (int64_t done = 0; done < count; done += kPiece) {
    const int64_t here = std::min(kPiece, count - done);
    elements_to_f32(tensor, in + done / block * block_bytes(tensor.dtype), here, piece.data());
    f32_to_bf16(piece.data(), here, out.data() + done);
  }
}

void to_bf16(const TensorView& tensor, std::span<uint16_t> out) {
  to_bf16(tensor, 0, tensor.numel(), out);
}

}  // namespace attune::io
