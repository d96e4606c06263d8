#include "attune/objective/constraint.h"

#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/masked_fill.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>

#include "attune/core/error.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// The completions that each comparison's prompt is judged by.
struct Candidates {
  at::Tensor cost_S;  // 0 where there is none
  at::Tensor of_PS;   // bool; every one of them where a prompt has none, so that nothing is 0 / 0
  at::Tensor any_P;   // bool: the prompt has one
};

// What each completion costs; NaN: not said.
at::Tensor cost_of(const TermInput& in, const ConstraintOptions& options) {
  const at::Tensor& count_S = in.policy.count_S;
  const auto limit = static_cast<double>(options.limit);
  if (options.rule == "tokens") {
    return count_S / limit;
  }
  if (options.rule == "tokens_over") {
    return at::clamp_min(count_S - limit, 0) / count_S;
  }
  const at::Tensor& given_S = in.feedback.values.at(options.column);
  const int64_t S = in.feedback.group_S.size(0);
  check(given_S.dim() == 1 && given_S.size(0) == S,
        "constraint: values \"{}\" must have {} entries, got {}",
        options.column,
        S,
        given_S.numel());
  return given_S;
}

Candidates candidates_of(const TermInput& in, const ConstraintOptions& options) {
  const at::Tensor given_S = cost_of(in, options);
  const at::Tensor& group_S = in.feedback.group_S;
  const at::Tensor group_P = group_S.index_select(0, in.feedback.pairs.winner_P);
  const at::Tensor has_S = ~at::isnan(given_S) & ~in.feedback.mismatched_S;
  const at::Tensor costed_PS = (group_P.unsqueeze(1) == group_S.unsqueeze(0)) & has_S.unsqueeze(0);
  const at::Tensor any_P = costed_PS.any(1);
  return {.cost_S = at::nan_to_num(given_S, 0.0),
          .of_PS = costed_PS | ~any_P.unsqueeze(1),
          .any_P = any_P};
}

// The mean cost, its slope that of the score function along each log-prob.
at::Tensor by_score_function(const Candidates& of, const TermInput& in, double budget) {
  const at::Tensor K_P = of.of_PS.sum(1).to(of.cost_S.scalar_type());
  const at::Tensor sum_P = (of.of_PS * of.cost_S).sum(1);
  const at::Tensor others_PS =
      (sum_P.unsqueeze(1) - of.cost_S) / (K_P - 1).clamp_min(1).unsqueeze(1);
  const at::Tensor baseline_PS = at::where((K_P > 1).unsqueeze(1), others_PS, budget);
  const at::Tensor advantage_PS = of.of_PS * (of.cost_S - baseline_PS);
  const at::Tensor slope_P = (advantage_PS * in.policy.sum_S).sum(1) / K_P;
  return sum_P / K_P + (slope_P - slope_P.detach());
}

// [P].
at::Tensor expected_cost(const Candidates& of,
                         const TermInput& in,
                         const ConstraintOptions& options) {
  if (options.form == "score_function") {
    return by_score_function(of, in, options.budget);
  }
  at::Tensor logit_S = in.policy.sum_S;
  if (options.form == "off_policy") {
    const at::Tensor h_S = log_ratio(in);
    logit_S = at::clamp(h_S, -options.clip, options.clip).detach() + (h_S - h_S.detach());
  }
  const at::Tensor logit_PS =
      logit_S.unsqueeze(0).masked_fill(~of.of_PS, -std::numeric_limits<double>::infinity());
  return (at::softmax(logit_PS, 1) * of.cost_S).sum(1);
}

}  // namespace

TermOutput loss(const TermInput& in, const ConstraintOptions& options) {
  const Candidates candidates = candidates_of(in, options);
  const at::Tensor expected_P = expected_cost(candidates, in, options);
  const double dual =
      in.state != nullptr && in.state->contains("dual") ? in.state->at("dual") : options.dual_start;
  // Prompts without a cost have no part in loss, mean or dual step.
  const at::Tensor over_P = candidates.any_P * (expected_P - options.budget);
  const at::Tensor weight_P = in.feedback.pairs.weight_P * candidates.any_P;
  const double total = weight_P.sum().item<double>();
  TermOutput out{.loss_I = dual * over_P, .reward_S = log_ratio(in).detach()};
  out.figures["dual"] = dual;
  if (total > 0) {
    const double over = (weight_P * over_P.detach()).sum().item<double>() / total;
    out.figures["cost"] = over + options.budget;
    if (in.training && in.state != nullptr) {
      (*in.state)["dual"] = std::max(0.0, dual + options.dual_lr * over);
    }
  }
  return out;
}

}  // namespace attune::objective
