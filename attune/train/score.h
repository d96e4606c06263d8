#pragma once

#include "attune/adapter/pass.h"
#include "attune/model/decoder.h"
#include "attune/objective/scores.h"
#include "attune/train/batch.h"

namespace attune::train {

/// log pi(y|x) of every completion of the batch: the trunk once over the N packed tokens, the head
/// on the C scored rows only, sums in f64.
///
///   sum_S = sum over the completion's labels of log pi(label | everything it may see)
///
/// @param recompute  keep only each layer's input for the backward pass.
objective::SequenceLogps score(const model::Decoder& model,
                               const PreferenceBatch& batch,
                               const adapter::Pass& pass,
                               bool recompute = false);

/// log pi of each label, [C], f64.
at::Tensor token_logps(const model::Decoder& model,
                       const PreferenceBatch& batch,
                       const adapter::Pass& pass,
                       bool recompute = false);

}  // namespace attune::train
