#pragma once

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// log softmax(h weight^T)[label] for each row, tile by tile: the whole [C, V] logits never exist.
///
/// With a frozen weight the derivative of each row's value with respect to h is computed in the
/// same pass (weight[label] - sum_v p_v weight[v]) and only scaled in the backward pass, so that
/// the logits are made once. With a trained weight the backward pass makes them again.
///
/// @param h_CD       the rows that predict a label; f32 or f64, carries gradients.
/// @param weight_VD  the output embedding; may be stored in bf16 when frozen.
/// @param label_C    int64, each in [0, V).
/// @return           [C] in nats, f64.
at::Tensor label_logps(const at::Tensor& h_CD,
                       const at::Tensor& weight_VD,
                       const at::Tensor& label_C);

/// What the head says of rows, from one computation of their logits.
struct LabelScores {
  at::Tensor logp_C;           ///< As label_logps.
  at::Tensor concentration_C;  ///< log sum_v pi(v)^2, f64, at most 0; never carries gradients.
};

/// label_logps, and how sure the model is at each row:
///
///   concentration = log sum_v pi(v)^2 = logsumexp(2 l) - 2 logsumexp(l),  l the row's logits
LabelScores label_scores(const at::Tensor& h_CD,
                         const at::Tensor& weight_VD,
                         const at::Tensor& label_C);

}  // namespace attune::nn
