#include "attune/objective/tdpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const TdpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor& K_S = in.policy.divergence_S;
  const auto loss_of = [&](const at::Tensor& winner_P, const at::Tensor& loser_P) {
    const at::Tensor D_P = h_S.index_select(0, winner_P) - h_S.index_select(0, loser_P);
    const at::Tensor K_w = K_S.index_select(0, winner_P);
    const at::Tensor K_l = K_S.index_select(0, loser_P);
    const at::Tensor held_P =
        options.version == 1 ? K_l - K_w : options.alpha * (K_l - K_w.detach());
    return -at::log_sigmoid(options.beta * (D_P - held_P));
  };
  return {.loss_I = expected(in, loss_of), .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
