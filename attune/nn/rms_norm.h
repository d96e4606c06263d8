#pragma once

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// Root-mean-square norm over the last dimension.
///
///   y = x / sqrt(mean(x^2) + eps) * weight
///
/// Paper: Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4.
///
/// @param x       [..., D], f32 or f64, carries gradients.
/// @param weight  [D]. May carry gradients; a narrower dtype is widened to x's.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight_D, double eps);

}  // namespace attune::nn
