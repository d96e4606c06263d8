#include "attune/objective/kto.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// The mean log-ratio of the strangers, each weighted as the labels of its prompt; not below 0.
double estimate(const at::Tensor& h_S, const TermInput& in) {
  const auto& feedback = in.feedback;
  const at::Tensor& group_S = feedback.group_S;
  // There are at most as many prompts as completions.
  const at::Tensor& label_weight_S = feedback.label_weight_S;
  const at::Tensor by_group_S =
      at::zeros_like(label_weight_S).index_add(0, group_S, label_weight_S);
  const at::Tensor weight_S = feedback.mismatched_S * by_group_S.index_select(0, group_S);
  const double total = weight_S.sum().item<double>();
  const double sum = (weight_S * h_S).sum().item<double>();
  return total > 0 ? std::max(0.0, sum / total) : 0;
}

}  // namespace

TermOutput loss(const TermInput& in, const KtoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const double kl = estimate(h_S.detach(), in);
  const at::Tensor z_S = options.beta * (h_S - kl);
  return {.loss_I = by_label(options.weights.desirable * at::sigmoid(-z_S),
                             options.weights.undesirable * at::sigmoid(z_S),
                             in),
          .reward_S = (options.beta * h_S).detach(),
          .figures = {{"kl", kl}}};
}

}  // namespace attune::objective
