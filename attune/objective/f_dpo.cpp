#include "attune/objective/f_dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

constexpr double kLargestExponent = 80;

at::Tensor slope_of_f(const at::Tensor& h, const FDpoOptions& options) {
  if (options.divergence == "reverse_kl") {
    return h;
  }
  if (options.divergence == "js") {
    return at::log_sigmoid(h);
  }
  const double a = options.divergence == "alpha" ? options.alpha : 1;
  // At a = 1 the paper's forward KL, -e^-h, but for a constant that cancels.
  return -at::expm1((-a * h).clamp_max(kLargestExponent)) / a;
}

}  // namespace

TermOutput loss(const TermInput& in, const FDpoOptions& options) {
  const at::Tensor r_S = options.beta * slope_of_f(log_ratio(in), options);
  return {.loss_I = logistic_loss(difference(r_S, in), in.feedback.pairs.probability_P),
          .reward_S = r_S.detach()};
}

}  // namespace attune::objective
