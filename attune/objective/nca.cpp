#include "attune/objective/nca.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const NcaOptions& options) {
  const at::Tensor r_S = options.beta * log_ratio(in);
  const auto loss_of = [&](const at::Tensor& winner_P, const at::Tensor& loser_P) {
    const at::Tensor r_w = r_S.index_select(0, winner_P);
    const at::Tensor r_l = r_S.index_select(0, loser_P);
    return -at::log_sigmoid(r_w) - (at::log_sigmoid(-r_w) + at::log_sigmoid(-r_l)) / 2;
  };
  return {.loss_I = expected(in, loss_of), .reward_S = r_S.detach()};
}

}  // namespace attune::objective
