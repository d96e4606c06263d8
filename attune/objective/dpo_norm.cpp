#include "attune/objective/dpo_norm.h"

#include <ATen/TensorOperators.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const DpoNormOptions& options) {
  const at::Tensor h_S = log_ratio(in) / in.policy.count_S;
  const at::Tensor z_P = options.beta * difference(h_S, in);
  return {.loss_I = logistic_loss(z_P, in.feedback.pairs.probability_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
