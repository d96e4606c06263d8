#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include "attune/tensor/tree.h"

namespace attune::nn {

/// Softmax attention of every packed token over what it may see: itself, its segment before it and
/// all ancestors. No mask and no score matrix larger than 64 queries is made, so memory is linear
/// in N. Query head h reads key/value head h / (H/G).
///
///   out_i = sum_j softmax_j(q_i . k_j / sqrt(E)) v_j,  j visible to i
///
/// Values and gradients do not depend on the number of threads.
///
/// @param q_NHE  queries, rotated; f32 or f64.
/// @param k_NGE  keys, rotated.  @param v_NGE  values.
/// @return       [N, H, E]
at::Tensor tree_attention(const at::Tensor& q_NHE,
                          const at::Tensor& k_NGE,
                          const at::Tensor& v_NGE,
                          const std::shared_ptr<const tensor::Tree>& tree);

/// The same by ATen's attention, one call a segment, keys gathered: what runs elsewhere than on the
/// CPU.
at::Tensor attention_by_segments(const at::Tensor& q_NHE,
                                 const at::Tensor& k_NGE,
                                 const at::Tensor& v_NGE,
                                 const tensor::Tree& tree);

}  // namespace attune::nn
