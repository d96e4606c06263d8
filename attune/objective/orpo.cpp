#include "attune/objective/orpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/where.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// a - log(1 - exp(a)); the logarithm by whichever form keeps its digits.
at::Tensor log_odds(const at::Tensor& a_S) {
  const at::Tensor x_S = at::clamp_max(a_S, -1e-6);
  const at::Tensor rest_S =
      at::where(x_S > -0.6931, at::log(-at::expm1(x_S)), at::log1p(-at::exp(x_S)));
  return x_S - rest_S;
}

}  // namespace

TermOutput loss(const TermInput& in, const OrpoOptions& options) {
  const at::Tensor a_S = mean_logp(in);
  const at::Tensor z_P = difference(log_odds(a_S), in);
  const at::Tensor as_said_P = -winners(a_S, in) - options.lambda * at::log_sigmoid(z_P);
  const at::Tensor reversed_P = -losers(a_S, in) - options.lambda * at::log_sigmoid(-z_P);
  return {.loss_I = expected(as_said_P, reversed_P, in),
          .reward_S = (options.lambda * a_S).detach()};
}

}  // namespace attune::objective
