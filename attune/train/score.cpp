#include "attune/train/score.h"

#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros_like.h>

namespace attune::train {

at::Tensor token_logps(const model::Decoder& model,
                       const PreferenceBatch& batch,
                       const adapter::Pass& pass,
                       bool recompute) {
  model::TreeAttention attention(batch.tree);
  const at::Tensor h_ND =
      model.forward(batch.tokens_N, batch.positions_N, attention, pass, recompute);
  return model.label_logps(h_ND.index_select(0, batch.row_C), batch.label_C);
}

objective::SequenceLogps score(const model::Decoder& model,
                               const PreferenceBatch& batch,
                               const adapter::Pass& pass,
                               bool recompute) {
  const at::Tensor logp_C = token_logps(model, batch, pass, recompute);
  return {.sum_S = at::zeros_like(batch.count_S).index_add(0, batch.sequence_C, logp_C),
          .count_S = batch.count_S};
}

}  // namespace attune::train
