#include "attune/objective/ipo.h"

#include <ATen/TensorOperators.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const IpoOptions& options) {
  const at::Tensor sum_S = log_ratio(in);
  const at::Tensor h_S = options.average == "mean" ? sum_S / in.policy.count_S : sum_S;
  const at::Tensor D_P = difference(h_S, in);
  const double target = 1 / (2 * options.tau);
  return {.loss_I = expected_of_margin(
              in, D_P, [target](const at::Tensor& D) { return (D - target) * (D - target); }),
          .reward_S = (options.tau * h_S).detach()};
}

}  // namespace attune::objective
