#include "attune/objective/bco_unpaired.h"

#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// The running mean reward of one side, moved by this step where it trains; none: never seen.
std::optional<double> running_mean(const char* side,
                                   const at::Tensor& weight_S,
                                   const at::Tensor& reward_S,
                                   const TermInput& in,
                                   double momentum) {
  std::optional<double> mean;
  if (in.state != nullptr && in.state->contains(side)) {
    mean = in.state->at(side);
  }
  const double total = weight_S.sum().item<double>();
  if (total > 0 && (in.training || !mean)) {
    const double now = (weight_S * reward_S).sum().item<double>() / total;
    mean = mean ? momentum * *mean + (1 - momentum) * now : now;
  }
  if (mean && in.training && in.state != nullptr) {
    (*in.state)[side] = *mean;
  }
  return mean;
}

double running_shift(const at::Tensor& reward_S, const TermInput& in, double momentum) {
  const at::Tensor& weight_S = in.feedback.label_weight_S;
  const at::Tensor& label_S = in.feedback.label_S;
  const auto desirable =
      running_mean("desirable", weight_S * (label_S > 0), reward_S, in, momentum);
  const auto undesirable =
      running_mean("undesirable", weight_S * (label_S < 0), reward_S, in, momentum);
  if (desirable && undesirable) {
    return (*desirable + *undesirable) / 2;
  }
  return desirable ? *desirable : undesirable.value_or(0);
}

}  // namespace

TermOutput loss(const TermInput& in, const BcoUnpairedOptions& options) {
  const at::Tensor reward_S = options.beta * log_ratio(in);
  const double shift = running_shift(reward_S.detach(), in, options.momentum);
  return {.loss_I =
              by_label(-at::log_sigmoid(reward_S - shift), -at::log_sigmoid(shift - reward_S), in),
          .reward_S = reward_S.detach(),
          .figures = {{"shift", shift}}};
}

}  // namespace attune::objective
