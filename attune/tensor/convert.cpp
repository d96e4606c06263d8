#include "attune/tensor/convert.h"

#include <utility>

#include <ATen/ops/empty.h>

#include "attune/core/error.h"
#include "attune/io/convert.h"
#include "attune/tensor/parallel.h"

namespace attune::tensor {
namespace {

// A multiple of every block size, large enough to be worth a thread.
constexpr int64_t kPiece = 1 << 16;

io::DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return io::DType::kF32;
    case at::kDouble:
      return io::DType::kF64;
    case at::kBFloat16:
      return io::DType::kBF16;
    case at::kLong:
      return io::DType::kI64;
    default:
      throw InternalError(fmt::format("no file type for a tensor of {}", tensor.toString()));
  }
}

}  // namespace

at::Tensor from_view(const io::TensorView& view, at::ScalarType dtype) {
  ensure(dtype == at::kFloat || dtype == at::kBFloat16, "from_view: only f32 and bf16");
  const at::Tensor tensor = at::empty(view.shape, at::TensorOptions().dtype(dtype));
  const int64_t count = view.numel();
  const int64_t pieces = (count + kPiece - 1) / kPiece;
  share_out(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece * kPiece;
      const auto size = static_cast<size_t>(std::min(kPiece, count - first));
      if (dtype == at::kFloat) {
        io::to_f32(view,
                   first,
                   static_cast<int64_t>(size),
                   std::span(tensor.data_ptr<float>() + first, size));
      } else {
        auto* bits = static_cast<uint16_t*>(tensor.data_ptr());
        io::to_bf16(view, first, static_cast<int64_t>(size), std::span(bits + first, size));
      }
    }
  });
  return tensor;
}

io::TensorView to_view(std::string name, const at::Tensor& tensor) {
  ensure(tensor.is_cpu() && tensor.is_contiguous(), "to_view: {} is not contiguous", name);
  const auto* bytes = static_cast<const std::byte*>(tensor.const_data_ptr());
  return {.name = std::move(name),
          .dtype = dtype_of(tensor),
          .shape = tensor.sizes().vec(),
          .bytes = std::span(bytes, tensor.nbytes())};
}

std::string shape_text(const at::Tensor& tensor) {
  return io::shape_text(tensor.sizes().vec());
}

}  // namespace attune::tensor
