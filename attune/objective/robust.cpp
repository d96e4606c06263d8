#include "attune/objective/robust.h"

#include <ATen/TensorOperators.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const RobustOptions& options) {
  const double e = options.label_smoothing;
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const at::Tensor p_P = (in.feedback.pairs.probability_P - e) / (1 - 2 * e);
  return {.loss_I = logistic_loss(z_P, p_P), .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
