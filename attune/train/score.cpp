#include "attune/train/score.h"

#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros_like.h>

#include "attune/core/error.h"
#include "attune/nn/divergence.h"
#include "attune/nn/logp_head.h"

namespace attune::train {

HeadRows head_rows(const model::Decoder& model,
                   const PreferenceBatch& batch,
                   const adapter::Pass& pass,
                   bool recompute) {
  return {.h_CD = model.rows(
              batch.tokens_N, batch.positions_N, batch.tree, batch.row_C, pass, recompute),
          .weight_VD = model.head_weight()};
}

at::Tensor token_logps(const model::Decoder& model,
                       const PreferenceBatch& batch,
                       const adapter::Pass& pass) {
  const HeadRows rows = head_rows(model, batch, pass);
  return nn::label_logps(rows.h_CD, rows.weight_VD, batch.label_C);
}

objective::SequenceLogps score(const HeadRows& rows,
                               const PreferenceBatch& batch,
                               const ScoreOptions& options) {
  const auto summed = [&batch](const at::Tensor& x_C) {
    return at::zeros_like(batch.count_S).index_add(0, batch.sequence_C, x_C);
  };
  const auto& [h_CD, weight_VD] = rows;
  objective::SequenceLogps logps{.count_S = batch.count_S};
  at::Tensor logp_C;
  if (options.needs.concentration) {
    nn::LabelScores scores = nn::label_scores(h_CD, weight_VD, batch.label_C);
    logp_C = scores.logp_C;
    logps.concentration_C = scores.concentration_C;
  } else {
    logp_C = nn::label_logps(h_CD, weight_VD, batch.label_C);
  }
  logps.sum_S = summed(logp_C);
  if (options.needs.tokens) {
    logps.token_C = logp_C;
  }
  if (options.needs.divergence) {
    ensure(options.reference.h_CD.defined(), "score: a divergence from no reference");
    logps.divergence_S = summed(
        nn::divergence(h_CD, weight_VD, options.reference.h_CD, options.reference.weight_VD));
  }
  return logps;
}

objective::SequenceLogps score(const model::Decoder& model,
                               const PreferenceBatch& batch,
                               const adapter::Pass& pass,
                               const ScoreOptions& options) {
  return score(head_rows(model, batch, pass, options.recompute), batch, options);
}

}  // namespace attune::train
