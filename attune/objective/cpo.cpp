#include "attune/objective/cpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const CpoOptions& options) {
  const at::Tensor& lp_S = in.policy.sum_S;
  const at::Tensor z_P = options.beta * difference(lp_S, in);
  const at::Tensor nll_S = -mean_logp(in);
  const at::Tensor prefer_P = expected(-at::log_sigmoid(z_P), -at::log_sigmoid(-z_P), in);
  const at::Tensor nll_P = expected(winners(nll_S, in), losers(nll_S, in), in);
  return {.loss_I = prefer_P + options.alpha * nll_P, .reward_S = (options.beta * lp_S).detach()};
}

}  // namespace attune::objective
