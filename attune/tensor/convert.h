// Bytes of a model file to tensors, and back.
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/io/tensor_file.h"

namespace attune::tensor {

/// A tensor of `dtype` (f32 or bf16) with the view's shape and values, converted on all threads.
/// @throws Error if the view holds integers.
at::Tensor from_view(const io::TensorView& view, at::ScalarType dtype);

/// A view of a contiguous CPU tensor (f32, bf16, f64 or int64) for a writer; the tensor must
/// outlive it.
io::TensorView to_view(std::string name, const at::Tensor& tensor);

/// "[5, 7]", for messages.
std::string shape_text(const at::Tensor& tensor);

}  // namespace attune::tensor
