#include "attune/objective/ld_dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// sum_t c_t h_t of the completions `which`, whose tokens count 1 up to `length` and alpha behind.
at::Tensor weighted_sum(const at::Tensor& h_C,
                        const at::Tensor& count_S,
                        const at::Tensor& which_P,
                        const at::Tensor& length_P,
                        double alpha) {
  const at::Tensor count_P = count_S.index_select(0, which_P);
  const at::Tensor first_P = (at::cumsum(count_S, 0) - count_S).index_select(0, which_P);
  const at::Tensor pair_M = at::repeat_interleave(count_P);  // the comparison of each of M tokens
  const at::Tensor before_P = at::cumsum(count_P, 0) - count_P;
  const at::Tensor place_M =
      at::arange(pair_M.size(0), pair_M.options()) - before_P.index_select(0, pair_M);
  const at::Tensor behind_M = place_M >= length_P.index_select(0, pair_M);
  const at::Tensor h_M = h_C.index_select(0, first_P.index_select(0, pair_M) + place_M);
  const at::Tensor zero_P = at::zeros({which_P.size(0)}, h_C.options());
  return zero_P.index_add(0, pair_M, at::where(behind_M, alpha * h_M, h_M));
}

}  // namespace

TermOutput loss(const TermInput& in, const LdDpoOptions& options) {
  const at::Tensor h_C = in.policy.token_C - in.reference.token_C;
  const Comparisons& pairs = in.feedback.pairs;
  const at::Tensor count_S =
      at::bincount(in.feedback.sequence_C, /*weights=*/{}, in.policy.sum_S.size(0));
  const at::Tensor length_P = at::minimum(winners(count_S, in), losers(count_S, in));
  const auto sum_of = [&](const at::Tensor& which_P) {
    return weighted_sum(h_C, count_S, which_P, length_P, options.alpha);
  };
  const at::Tensor z_P = options.beta * (sum_of(pairs.winner_P) - sum_of(pairs.loser_P));
  return {.loss_I = logistic_loss(z_P, pairs.probability_P),
          .reward_S = (options.beta * log_ratio(in)).detach()};
}

}  // namespace attune::objective
