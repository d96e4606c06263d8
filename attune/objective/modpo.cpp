#include "attune/objective/modpo.h"

#include <ATen/TensorOperators.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
TermOutput loss(const TermInput& in, const ModpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  at::Tensor margin_P = options.beta * difference(h_S, in);
  for (const auto& [name, text] : options.others) {
    const at::Tensor& reward_S = column(ModpoOptions::kKind, name, in);
    margin_P = margin_P - ModpoOptions::weight_of(name, text) * difference(reward_S, in);
  }
  return {.loss_I = logistic_loss(margin_P / options.own_weight, in.feedback.pairs.probability_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
