#include "attune/objective/bco.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const BcoOptions& options) {
  const at::Tensor reward_S = options.beta * log_ratio(in);
  const at::Tensor above_S = -at::log_sigmoid(reward_S - options.shift);
  const at::Tensor below_S = -at::log_sigmoid(options.shift - reward_S);
  return {.loss_I = expected(winners(above_S, in) + losers(below_S, in),
                             losers(above_S, in) + winners(below_S, in),
                             in),
          .reward_S = reward_S.detach()};
}

}  // namespace attune::objective
