#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/config/scalar.h"
#include "attune/core/error.h"
#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Multi-objective DPO.
///
///   m    = beta (h[winner] - h[loser]) - sum_k w_k (R_k[winner] - R_k[loser])         [P]
///   z    = m / w_1                                                                    [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)                                [P]
///
/// The comparisons speak of the first goal, whose weight w_1 is `own_weight`; R_k is a column of
/// data.values and w_k its weight in `others`. The optimum is pi_ref exp((w_1 r_1 + sum_k w_k R_k)
/// / beta). Paper: Zhou et al. 2023, arXiv:2310.03708, with weights that sum to 1. They may be any:
/// c times all of them is beta / c, since z sees their ratios alone, and a cost has one below 0.
/// reward_S = beta h: the weighted sum of all rewards.
struct ModpoOptions {
  static constexpr std::string_view kKind = "modpo";
  static constexpr std::string_view kPaper = "2310.03708";
  static constexpr std::string_view kSummary =
      "MODPO: comparisons of one goal, with the rewards of others as margins";
  static constexpr std::string_view kAdvice =
      "beta 0.1; the weights of all goals sum to 1; one run for each trade-off";
  static constexpr Needs kNeeds{};

  double beta = 0.1;        ///< Pull towards the reference, above 0.
  double own_weight = 0.7;  ///< Of the goal that the comparisons speak of, above 0.
  /// Weights of the other goals, numbers, by column of data.values.
  std::map<std::string, std::string> others = {{"reward", "0.3"}};

  /// A weight of `others` as a number. @throws Error if it is none.
  [[nodiscard]] static double weight_of(const std::string& name, const std::string& text) {
    const std::optional<double> weight = config::parse_number(text);
    check(weight.has_value(), "modpo.others.{} must be a number, got {}", name, text);
    return *weight;
  }

  /// Of data.values. @throws Error if there are none or a weight is no number.
  [[nodiscard]] std::vector<std::string> columns() const {
    check(!others.empty(), "modpo.others: no other goal; with one goal alone use kind: dpo");
    std::vector<std::string> names;
    for (const auto& [name, text] : others) {
      (void)weight_of(name, text);
      names.push_back(name);
    }
    return names;
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("own_weight",
          own_weight,
          {.help = "weight of the goal that the comparisons speak of", .above = 0});
    field("others",
          others,
          {.help = "columns of data.values with other goals' rewards, and their weights"});
  }
};

TermOutput loss(const TermInput& in, const ModpoOptions& options);

}  // namespace attune::objective
