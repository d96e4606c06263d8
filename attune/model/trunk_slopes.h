// Where the hand-written trunk adds gradients.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros_like.h>

namespace attune::model {

/// The parameter's gradient, zeros at first.
inline at::Tensor& gradient_of(const at::Tensor& parameter) {
  at::Tensor& gradient = parameter.mutable_grad();
  if (!gradient.defined()) {
    gradient = at::zeros_like(parameter);
  }
  return gradient;
}

/// Raw rows as a tensor, which must not outlive them.
template <class T>
at::Tensor view(const T* x, int64_t rows, int64_t width, int64_t stride) {
  return at::from_blob(const_cast<T*>(x),
                       {rows, width},
                       {stride, 1},
                       at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value));
}

}  // namespace attune::model
