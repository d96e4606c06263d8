#include "attune/objective/discopop.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {

TermOutput loss(const TermInput& in, const DiscopopOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor x_P = options.beta * difference(h_S, in);
  const auto loss_of = [&](const at::Tensor& x) {
    const at::Tensor logistic = -at::sigmoid(-x / options.tau) * at::log_sigmoid(x);
    // m exp(-x) as one exponential: the product would be 0 times infinity far below 0.
    return logistic + at::exp(-x + at::log_sigmoid(x / options.tau));
  };
  return {.loss_I = expected_of_margin(in, x_P, loss_of),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
