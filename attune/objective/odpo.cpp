#include "attune/objective/odpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

constexpr double kSmallestGap = 1e-3;

}  // namespace

TermOutput loss(const TermInput& in, const OdpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor& score_S = in.feedback.score_S;
  check_known(OdpoOptions::kKind, "score", score_S, in);
  const auto loss_of = [&](const at::Tensor& winner_P, const at::Tensor& loser_P) {
    const auto gap = [&](const at::Tensor& x_S) {
      return x_S.index_select(0, winner_P) - x_S.index_select(0, loser_P);
    };
    const at::Tensor gap_P = gap(score_S).clamp_min(kSmallestGap);
    const at::Tensor offset_P = options.scale == "log" ? at::log(gap_P) : gap_P;
    return -at::log_sigmoid(options.beta * gap(h_S) - options.alpha * offset_P);
  };
  return {.loss_I = expected(in, loss_of), .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
