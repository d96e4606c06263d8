#include "attune/objective/apo_zero_unpaired.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const ApoZeroUnpairedOptions& options) {
  const at::Tensor reward_S = options.beta * log_ratio(in);
  return {.loss_I = by_label(options.weights.desirable * at::sigmoid(-reward_S),
                             options.weights.undesirable * at::sigmoid(reward_S),
                             in),
          .reward_S = reward_S.detach()};
}

}  // namespace attune::objective
