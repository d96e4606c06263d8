#include "attune/objective/dr_dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log.h>
#include <ATen/ops/logsumexp.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const DrDpoOptions& options) {
  const double t = options.temperature;
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const Comparisons& pairs = in.feedback.pairs;
  const at::Tensor loss_P = logistic_loss(z_P, pairs.probability_P);
  const at::Tensor share_P = pairs.weight_P / pairs.weight_P.sum();
  const at::Tensor loss = -t * at::logsumexp(at::log(share_P) - loss_P / t, 0);
  return {.loss_I = loss.expand_as(loss_P), .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
