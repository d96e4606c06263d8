#include "attune/objective/dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const DpoOptions& options) {
  const double e = options.label_smoothing;
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const at::Tensor& given_P = in.feedback.pairs.probability_P;
  const at::Tensor p_P = (1 - e) * given_P + e * (1 - given_P);
  return {.loss_I = -p_P * at::log_sigmoid(z_P) - (1 - p_P) * at::log_sigmoid(-z_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
