#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attune/core/error.h"
#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// A budget for what completions cost, kept by a multiplier that grows while it is passed.
///
///   c    = values[column]              rule none: of the completions that have one    [S]
///        = n / limit                   rule tokens: n is the completion's tokens
///        = max(0, n - limit) / n       rule tokens_over: the share of them past the limit
///   E    = sum_k q_k c_k over the completions of the comparison's prompt       [P]
///   loss = dual (E - budget)                                                   [P]
///   dual <- max(0, dual + dual_lr (sum_i w_i (E_i - budget) / sum_i w_i))    after each step of
///           training, both sums over the comparisons whose prompt has a cost
///
/// q estimates the policy's choice among a prompt's completions, with h = policy.sum -
/// reference.sum:
///
///   off_policy      softmax(h), h cut at +-clip: completions drawn from the reference, weighted by
///                   importance and self-normalised. Its slope, q_k (c_k - E) along log pi(k), is
///                   that of exp(h) held fixed, with E as the baseline. The cut is of the value
///                   only.
///   relaxed         softmax(policy.sum): the completions are all the answers there are
///   score_function  1/K: completions drawn from the policy itself; the slope is the mean of
///                   (c_k - mean of the others' c) along log pi(k), unbiased. Alone: c_k - budget.
///
/// Paper: Liu, Sun and Zheng 2024, arXiv:2403.02475, the dual step; the estimates are ours. A
/// comparison whose prompt has no cost has the loss 0 and is left out of the dual step; it still
/// weighs in what the step's loss is divided by, so that a step of which a share s is costed is
/// pushed s times as hard at one dual. Mismatched and uncosted completions are left out. reward_S
/// = h; no reward of its own, so let another term stand first.
struct ConstraintOptions {
  static constexpr std::string_view kKind = "constraint";
  static constexpr std::string_view kBeside = "dpo";  // what a run file has in front of it
  static constexpr std::string_view kPaper = "2403.02475";
  static constexpr std::string_view kSummary =
      "A budget on the expected cost of completions, kept by a dual variable";
  static constexpr std::string_view kAdvice =
      "beside dpo, as a later term; dual_lr 0.05 to 0.2; K >= 4 completions a prompt";
  static constexpr Needs kNeeds{.groups = true, .whole_step = true};
  static constexpr bool kDetaches = true;      // score_function's weights, the cut of off_policy
  static constexpr bool kNoSignAtZero = true;  // costs, not preferences, say what goes down

  std::string column = "cost";      ///< Of data.values: what each completion costs.
  std::string rule = "none";        ///< none, tokens or tokens_over, in place of the column.
  int64_t limit = 0;                ///< Tokens that the rule measures by, 1 or more; 0 without.
  double budget = 0;                ///< The expected cost that is allowed.
  std::string form = "off_policy";  ///< off_policy, relaxed or score_function.
  double dual_lr = 0.1;             ///< Step of the dual variable, 0 or more; 0: it is fixed.
  double dual_start = 0;            ///< The dual variable at first, 0 or more.
  double clip = 2;                  ///< off_policy: largest |h| that counts, nats, above 0.

  [[nodiscard]] std::vector<std::string> columns() const {
    return rule == "none" ? std::vector<std::string>{column} : std::vector<std::string>{};
  }

  /// Whether the dual variable changes from step to step.
  [[nodiscard]] bool moves() const {
    return dual_lr > 0;
  }

  /// @throws Error if a rule lacks its limit, or what is set has no meaning beside the rule.
  void check_together() const {
    check(rule == "none" || limit > 0,
          "constraint.rule {} counts tokens by constraint.limit, which is 0. Set it to 1 or more",
          rule);
    check(rule != "none" || limit == 0,
          "constraint.limit {} has no meaning with constraint.rule none. Remove it, or set rule: "
          "tokens or tokens_over",
          limit);
    check(rule == "none" || column == ConstraintOptions().column,
          "constraint.column {} is not read with constraint.rule {}. Remove one of them",
          column,
          rule);
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("column", column, {.help = "column of data.values with each completion's cost"});
    field("rule",
          rule,
          {.help = "a cost without a column: tokens / limit, or with tokens_over the share of "
                   "tokens past the limit",
           .one_of = {"none", "tokens", "tokens_over"}});
    field("limit",
          limit,
          {.help = "tokens that the rule measures by", .at_least = 0, .at_most = 1000000000});
    field("budget",
          budget,
          {.help = "the expected cost that is allowed", .at_least = -1e9, .at_most = 1e9});
    field("form",
          form,
          {.help = "who drew the completions: off_policy, the reference; score_function, the "
                   "policy; relaxed: they are all there are",
           .one_of = {"off_policy", "relaxed", "score_function"}});
    field("dual_lr",
          dual_lr,
          {.help = "step of the dual variable; 0 keeps it at dual_start", .at_least = 0});
    field("dual_start", dual_start, {.help = "the dual variable at first", .at_least = 0});
    field("clip",
          clip,
          {.help = "largest log-ratio that off_policy weighs completions by", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const ConstraintOptions& options);

}  // namespace attune::objective
