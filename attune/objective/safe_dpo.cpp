#include "attune/objective/safe_dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/where.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const SafeDpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const at::Tensor& given_S = column(SafeDpoOptions::kKind, options.unsafe, in);
  const at::Tensor u_S = (given_S > options.threshold).to(h_S.scalar_type());
  const at::Tensor safer_P = losers(u_S, in) - winners(u_S, in);  // 1: the winner, -1: the loser
  const at::Tensor mixed_P = -at::log_sigmoid(safer_P * z_P - options.delta);
  const at::Tensor alike_P = logistic_loss(z_P, in.feedback.pairs.probability_P);
  const at::Tensor counts_P = 1 - losers(u_S, in) * winners(u_S, in);
  return {.loss_I = counts_P * at::where(safer_P != 0, mixed_P, alike_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
