#include "attune/objective/dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/config/fields.h"

namespace attune::objective {

TermOutput dpo(const SequenceLogps& policy,
               const SequenceLogps& reference,
               const Comparisons& pairs,
               const DpoOptions& options) {
  config::check_fields(options, DpoOptions::kKind);
  check_shapes(DpoOptions::kKind, policy, &reference, pairs);
  const double e = options.label_smoothing;

  const at::Tensor h_S = policy.sum_S - reference.sum_S;
  const at::Tensor z_P =
      options.beta * (h_S.index_select(0, pairs.winner_P) - h_S.index_select(0, pairs.loser_P));
  const at::Tensor p_P = (1 - e) * pairs.probability_P + e * (1 - pairs.probability_P);

  return {.loss_P = -p_P * at::log_sigmoid(z_P) - (1 - p_P) * at::log_sigmoid(-z_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
