#include "attune/objective/exo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const ExoOptions& options) {
  const double e = options.label_smoothing;
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const at::Tensor& given_P = in.feedback.pairs.probability_P;
  const at::Tensor p_P = (1 - e) * given_P + e * (1 - given_P);
  // Not 1 - p, of which rounding would leave little where e is small.
  const at::Tensor q_P = (1 - e) * (1 - given_P) + e * given_P;
  const at::Tensor win_P = at::sigmoid(z_P) * (at::log_sigmoid(z_P) - at::log(p_P));
  const at::Tensor lose_P = at::sigmoid(-z_P) * (at::log_sigmoid(-z_P) - at::log(q_P));
  return {.loss_I = win_P + lose_P, .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
