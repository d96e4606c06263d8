#pragma once

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// y = x weight^T + bias. A frozen weight may be stored narrower (bf16) than x: the product is
/// computed in x's dtype. Only what a gradient needs is kept: a frozen weight keeps nothing of x.
///
/// @param x_NI       carries gradients; f32 or f64.
/// @param weight_OI  may carry gradients; then its dtype is x's.
/// @param bias_O     undefined for none.
at::Tensor linear(const at::Tensor& x_NI, const at::Tensor& weight_OI, const at::Tensor& bias_O);

}  // namespace attune::nn
