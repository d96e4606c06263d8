#include "attune/objective/gdpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const GdpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor sure_P = 2 * in.feedback.pairs.probability_P - 1;
  return {.loss_I = -at::log_sigmoid(options.beta * sure_P * difference(h_S, in)),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
