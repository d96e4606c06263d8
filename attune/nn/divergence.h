#pragma once

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// KL(reference || policy) of the next token at each row, tile by tile: the whole [C, V] logits of
/// neither model ever exist.
///
///   KL_c = sum_v q_v (log q_v - log p_v),  p = softmax(h weight^T), q = softmax of the reference's
///   dKL_c / dlogit_v = p_v - q_v
///
/// With a frozen weight the derivative with respect to h is computed in the same pass and only
/// scaled in the backward pass; with a trained weight the backward pass makes the logits again.
///
/// @param h_CD         the policy's rows; f32 or f64, carries gradients.
/// @param weight_VD    its output embedding; may be stored in bf16 when frozen.
/// @param reference_CD the reference's rows, and
/// @param reference_VD its output embedding: another width D is fine, V is the same. No gradients.
/// @return             [C] in nats, f64; 0 where the models agree, else above 0 but for rounding.
at::Tensor divergence(const at::Tensor& h_CD,
                      const at::Tensor& weight_VD,
                      const at::Tensor& reference_CD,
                      const at::Tensor& reference_VD);

}  // namespace attune::nn
