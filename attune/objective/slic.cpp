#include "attune/objective/slic.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/relu.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const SlicOptions& options) {
  const at::Tensor& lp_S = in.policy.sum_S;
  const auto loss_of = [&](const at::Tensor& winner_P, const at::Tensor& loser_P) {
    const at::Tensor lp_w = lp_S.index_select(0, winner_P);
    const at::Tensor lp_l = lp_S.index_select(0, loser_P);
    return at::relu(options.delta - lp_w + lp_l) - options.sft_weight * lp_w;
  };
  return {.loss_I = expected(in, loss_of), .reward_S = lp_S.detach()};
}

}  // namespace attune::objective
