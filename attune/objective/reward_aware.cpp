#include "attune/objective/reward_aware.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// KL( Bernoulli(sigmoid(g)) || Bernoulli(sigmoid(z)) ).
at::Tensor backward_kl(const at::Tensor& g, const at::Tensor& z) {
  return at::sigmoid(g) * (at::log_sigmoid(g) - at::log_sigmoid(z)) +
         at::sigmoid(-g) * (at::log_sigmoid(-g) - at::log_sigmoid(-z));
}

}  // namespace

TermOutput loss(const TermInput& in, const RewardAwareOptions& options) {
  check_known(RewardAwareOptions::kKind, "score", in.feedback.score_S, in);
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const at::Tensor g_P = options.eta * difference(in.feedback.score_S, in);
  return {.loss_I = options.form == "squared" ? (z_P - g_P) * (z_P - g_P) : backward_kl(g_P, z_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
