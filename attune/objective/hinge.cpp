#include "attune/objective/hinge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/relu.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const HingeOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  return {
      .loss_I = expected_of_margin(in, z_P, [](const at::Tensor& z) { return at::relu(1 - z); }),
      .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
