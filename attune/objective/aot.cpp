#include "attune/objective/aot.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/where.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// Where each of M points of mass lies when all are laid end to end in order; equals lie together.
struct Ranks {
  at::Tensor begin_M, end_M;
  at::Tensor inverse_M;  ///< 1 / (end - begin), 0 where there is no mass.
};

Ranks ranks_of(const at::Tensor& x_M, const at::Tensor& mass_M) {
  const at::Tensor x_M1 = x_M.detach().unsqueeze(1);
  const at::Tensor begin_M = at::where(x_M1 > x_M, mass_M, 0.0).sum(1);
  const at::Tensor end_M = at::where(x_M1 >= x_M, mass_M, 0.0).sum(1);
  const at::Tensor length_M = end_M - begin_M;
  return {begin_M, end_M, at::where(length_M > 0, 1 / length_M, 0.0)};
}

// The share of each policy point's mass (rows) that is matched with each reference point.
at::Tensor matched(const Ranks& policy, const Ranks& reference, const at::Tensor& mass_M) {
  const at::Tensor end_MM = at::minimum(policy.end_M.unsqueeze(1), reference.end_M);
  const at::Tensor begin_MM = at::maximum(policy.begin_M.unsqueeze(1), reference.begin_M);
  return at::relu(end_MM - begin_MM) * policy.inverse_M.unsqueeze(1) *
         (mass_M * reference.inverse_M);
}

}  // namespace

TermOutput loss(const TermInput& in, const AotOptions& options) {
  const Comparisons& pairs = in.feedback.pairs;
  const auto both_ways = [&](const at::Tensor& x_S) {
    const at::Tensor margin_P = difference(x_S, in);
    return at::cat({margin_P, -margin_P});
  };
  const at::Tensor a_M = both_ways(in.policy.sum_S);
  const at::Tensor b_M = both_ways(in.reference.sum_S);
  const at::Tensor share_M = at::cat({pairs.probability_P, 1 - pairs.probability_P});
  const at::Tensor mass_M = share_M * at::cat({pairs.weight_P, pairs.weight_P});
  const at::Tensor match_MM = matched(ranks_of(a_M, mass_M), ranks_of(b_M, mass_M), mass_M);
  const at::Tensor loss_MM = -at::log_sigmoid(options.beta * (a_M.unsqueeze(1) - b_M));
  const at::Tensor loss_M = share_M * (match_MM * loss_MM).sum(1);
  return {.loss_I = loss_M.view({2, -1}).sum(0),
          .reward_S = (options.beta * log_ratio(in)).detach()};
}

}  // namespace attune::objective
