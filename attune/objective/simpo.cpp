#include "attune/objective/simpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const SimpoOptions& options) {
  const at::Tensor a_S = mean_logp(in);
  const at::Tensor z_P = options.beta * difference(a_S, in);
  const double margin = options.beta * options.gamma_ratio;
  return {.loss_I = expected(-at::log_sigmoid(z_P - margin), -at::log_sigmoid(-z_P - margin), in),
          .reward_S = (options.beta * a_S).detach()};
}

}  // namespace attune::objective
