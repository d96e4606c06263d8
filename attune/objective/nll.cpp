#include "attune/objective/nll.h"

#include <ATen/TensorOperators.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const NllOptions& /*options*/) {
  const at::Tensor a_S = mean_logp(in);
  return {.loss_I = expected(-winners(a_S, in), -losers(a_S, in), in), .reward_S = a_S.detach()};
}

}  // namespace attune::objective
