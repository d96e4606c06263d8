#pragma once

#include "attune/adapter/pass.h"
#include "attune/model/decoder.h"
#include "attune/objective/term.h"
#include "attune/train/batch.h"

namespace attune::train {

/// A model's next-token distributions at the C scored rows: softmax(h_CD weight_VD^T).
struct HeadRows {
  at::Tensor h_CD = {};
  at::Tensor weight_VD = {};
};

/// What is computed beside the sums, and how.
struct ScoreOptions {
  objective::Needs needs = {};  ///< `tokens`, `concentration` and `divergence` count.
  HeadRows reference = {};      ///< What the divergence is from; needed for that alone.
  bool recompute = false;       ///< Keep only each layer's input for the backward pass.
};

/// log pi(y|x) of every completion of the batch, and what else is asked for: the trunk once over
/// the N packed tokens, the head on the C scored rows only, sums in f64.
///
///   sum_S        = sum over the completion's labels of log pi(label | everything it may see)
///   divergence_S = sum over the same rows of KL(reference || pi)
objective::SequenceLogps score(const model::Decoder& model,
                               const PreferenceBatch& batch,
                               const adapter::Pass& pass,
                               const ScoreOptions& options = {});

/// The same of rows that are computed already.
objective::SequenceLogps score(const HeadRows& rows,
                               const PreferenceBatch& batch,
                               const ScoreOptions& options = {});

/// The trunk alone.
HeadRows head_rows(const model::Decoder& model,
                   const PreferenceBatch& batch,
                   const adapter::Pass& pass,
                   bool recompute = false);

/// log pi of each label, [C], f64.
at::Tensor token_logps(const model::Decoder& model,
                       const PreferenceBatch& batch,
                       const adapter::Pass& pass);

}  // namespace attune::train
