// Attention of a token tree in f32, by small products of a few fixed shapes.
//
// The keys and values that a family sees are copied once for each key/value head into panels of 64
// tokens, both as they are and turned, padded with zeros; the scores of 64 queries meet them panel
// by panel. The kernel of such a product is made at run time for its shape, so there must be few
// shapes: counts are rounded up to multiples of 16.
#pragma once

#include "attune/nn/attention_kernel.h"

namespace attune::nn {

/// attend_tree() in f32.
void attend_by_panels(const AttentionInput<float>& in,
                      const AttentionPlan& plan,
                      const AttentionOutput<float>& to);

/// attend_tree_backward() in f32.
/// @param narrow  Weights and their slopes are exact; what they are multiplied with is rounded to
///                bf16 and so are they, with sums in f32 (no part where E is odd).
void attend_backward_by_panels(const AttentionInput<float>& in,
                               const AttentionPlan& plan,
                               const AttentionSlopes<float>& slopes,
                               bool narrow = false);

}  // namespace attune::nn
