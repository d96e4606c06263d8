#include "attune/objective/ties.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// log P of the outcomes of a comparison with margin z.
struct Outcomes {
  at::Tensor win_P, lose_P, tie_P;
};

Outcomes rao_kupper(const at::Tensor& z_P, double tie_rate) {
  const double a = 2 * std::atanh(tie_rate);
  const at::Tensor win_P = at::log_sigmoid(z_P - a);
  const at::Tensor lose_P = at::log_sigmoid(-z_P - a);
  return {win_P, lose_P, std::log(std::expm1(2 * a)) + win_P + lose_P};
}

Outcomes davidson(const at::Tensor& z_P, double tie_rate) {
  const double nu = tie_rate / (1 - tie_rate);
  const at::Tensor tie_P = std::log(2 * nu) - z_P / 2;
  const at::Tensor total_P = at::logsumexp(at::stack({at::zeros_like(z_P), -z_P, tie_P}), 0);
  return {-total_P, -z_P - total_P, tie_P - total_P};
}

}  // namespace

TermOutput loss(const TermInput& in, const TiesOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor z_P = options.beta * difference(h_S, in);
  const Outcomes log_p = options.model == "davidson" ? davidson(z_P, options.tie_rate)
                                                     : rao_kupper(z_P, options.tie_rate);
  const at::Tensor& p_P = in.feedback.pairs.probability_P;
  const at::Tensor decided_P = p_P * log_p.win_P + (1 - p_P) * log_p.lose_P;
  return {.loss_I = -at::where(p_P == 0.5, log_p.tie_P, decided_P),
          .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
