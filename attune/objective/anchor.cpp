#include "attune/objective/anchor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const AnchorOptions& options) {
  const at::Tensor r_S = options.beta * log_ratio(in);
  const auto loss_of = [&](const at::Tensor& winner_P, const at::Tensor&) {
    return -at::log_sigmoid(r_S.index_select(0, winner_P) - options.delta);
  };
  return {.loss_I = expected(in, loss_of), .reward_S = r_S.detach()};
}

}  // namespace attune::objective
