#include "attune/objective/alphapo.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/relu.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

constexpr double kLargest = 20;  // exponents above it go on along the tangent

// (1 - exp(-alpha a)) / alpha.
at::Tensor shaped(const at::Tensor& a_S, double alpha) {
  if (alpha == 0) {
    return a_S;
  }
  const at::Tensor t_S = -alpha * a_S;
  const at::Tensor beyond_S = at::relu(t_S - kLargest);
  return -(at::expm1(at::clamp_max(t_S, kLargest)) + std::exp(kLargest) * beyond_S) / alpha;
}

}  // namespace

TermOutput loss(const TermInput& in, const AlphapoOptions& options) {
  const at::Tensor r_S = shaped(mean_logp(in), options.alpha);
  const at::Tensor z_P = options.beta * difference(r_S, in);
  const double margin = options.beta * options.gamma_ratio;
  return {.loss_I = expected(-at::log_sigmoid(z_P - margin), -at::log_sigmoid(-z_P - margin), in),
          .reward_S = (options.beta * r_S).detach()};
}

}  // namespace attune::objective
