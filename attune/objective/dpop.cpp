#include "attune/objective/dpop.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const DpopOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor fall_S = (at::abs(h_S) - h_S) / 2;  // max(0, -h), with slope 1/2 at 0
  const auto loss_of = [&](const at::Tensor& winner_P, const at::Tensor& loser_P) {
    const at::Tensor D_P = h_S.index_select(0, winner_P) - h_S.index_select(0, loser_P);
    const at::Tensor penalty_P = options.lambda * fall_S.index_select(0, winner_P);
    return -at::log_sigmoid(options.beta * (D_P - penalty_P));
  };
  return {.loss_I = expected(in, loss_of), .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
