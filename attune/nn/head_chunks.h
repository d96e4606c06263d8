// The head over chunks of the vocabulary: all rows meet a few thousand words at a time, so that the
// weight is read once and the logits of a chunk stay in the cache.
#pragma once

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// What is known of each row when the whole vocabulary has passed.
struct HeadSums {
  at::Tensor logp_C;           ///< log softmax(h weight^T)[label], nats, f64.
  at::Tensor lse_C;            ///< logsumexp of the logits, f64.
  at::Tensor slope_CD;         ///< d logp / dh = weight[label] - sum_v p_v weight[v]; if asked for.
  at::Tensor concentration_C;  ///< log sum_v p_v^2, f64; if asked for.
};

/// Sums that are scaled down whenever a larger logit comes (Milakov and Gimelshein 2018,
/// arXiv:1805.02867), so one pass over the logits is enough.
///
/// @param h_CD       f32 or f64, contiguous.  @param weight_VD  of that dtype, or bf16.
/// @param label_C    int64, contiguous, each in [0, V).
HeadSums head_sums(const at::Tensor& h_CD,
                   const at::Tensor& weight_VD,
                   const at::Tensor& label_C,
                   bool slope,
                   bool concentration);

/// The slopes of sum_c g_c logp_c, from a second pass over the logits: adds that of the weight to
/// `to_VD`, contiguous, and returns that of h, [C, D].
at::Tensor head_slopes(const at::Tensor& h_CD,
                       const at::Tensor& weight_VD,
                       const at::Tensor& label_C,
                       const at::Tensor& lse_C,
                       const at::Tensor& g_C,
                       const at::Tensor& to_VD);

/// Bytes that a pass over C rows has under way, of f32.
int64_t head_bytes(int64_t C);

}  // namespace attune::nn
