#include "attune/objective/sppo.h"

#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sign.h>

#include "attune/core/error.h"
#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// P of the winner and of the loser.
std::pair<at::Tensor, at::Tensor> targets_of(const TermInput& in, const SppoOptions& options) {
  if (options.targets == "column") {
    const at::Tensor& given_S = column(SppoOptions::kKind, options.win_rate, in);
    const at::Tensor win_P = winners(given_S, in);
    const at::Tensor lose_P = losers(given_S, in);
    const at::Tensor both_M = at::cat({win_P, lose_P});
    const at::Tensor off_M = both_M.masked_select((both_M < 0) | (both_M > 1));
    check(
        off_M.numel() == 0,
        "{}: values \"{}\" must be chances in [0, 1], got {} (and {} more). Divide percentages by "
        "100",
        SppoOptions::kKind,
        options.win_rate,
        off_M.numel() > 0 ? off_M[0].item<double>() : 0,
        off_M.numel() - 1);
    return {win_P, lose_P};
  }
  const at::Tensor& p_P = in.feedback.pairs.probability_P;
  const at::Tensor P_P = options.targets == "hard" ? (1 + at::sign(p_P - 0.5)) / 2 : p_P;
  return {P_P, 1 - P_P};
}

}  // namespace

TermOutput loss(const TermInput& in, const SppoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const auto [win_P, lose_P] = targets_of(in, options);
  const at::Tensor off_w = winners(h_S, in) - (win_P - 0.5) / options.beta;
  const at::Tensor off_l = losers(h_S, in) - (lose_P - 0.5) / options.beta;
  return {.loss_I = (off_w * off_w + off_l * off_l) / 2, .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
