#include "attune/objective/r_dpo.h"

#include <ATen/TensorOperators.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const RDpoOptions& options) {
  const at::Tensor r_S = options.beta * log_ratio(in) + options.alpha * in.policy.count_S;
  return {.loss_I = logistic_loss(difference(r_S, in), in.feedback.pairs.probability_P),
          .reward_S = r_S.detach()};
}

}  // namespace attune::objective
