#include "attune/objective/wpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const WpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const at::Tensor& sequence_C = in.feedback.sequence_C;
  const at::Tensor excess_C = in.policy.token_C.detach() - in.policy.concentration_C;
  const at::Tensor zero_S = at::zeros_like(in.policy.sum_S);
  const at::Tensor count_S = zero_S.index_add(0, sequence_C, at::ones_like(excess_C));
  const at::Tensor mean_S = zero_S.index_add(0, sequence_C, excess_C) / count_S.clamp_min(1);
  // The minimum is taken of the logarithms: no factor can overflow.
  const at::Tensor weight_P = at::exp((winners(mean_S, in) + losers(mean_S, in)).clamp_max(0));
  return {.loss_I = weight_P * logistic_loss(z_P, in.feedback.pairs.probability_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
