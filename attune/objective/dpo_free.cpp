#include "attune/objective/dpo_free.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const DpoFreeOptions& options) {
  const double e = options.label_smoothing;
  const at::Tensor& lp_S = in.policy.sum_S;
  const at::Tensor z_P = options.beta * difference(lp_S, in);
  const at::Tensor& given_P = in.feedback.pairs.probability_P;
  const at::Tensor p_P = (1 - e) * given_P + e * (1 - given_P);
  return {.loss_I = -p_P * at::log_sigmoid(z_P) - (1 - p_P) * at::log_sigmoid(-z_P),
          .reward_S = (options.beta * lp_S).detach()};
}

}  // namespace attune::objective
