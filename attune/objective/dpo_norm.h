#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Length-normalised DPO.
///
///   z    = beta (h[winner] / n[winner] - h[loser] / n[loser])         [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)                [P]
///
/// n is the number of a completion's tokens: beta must be larger than dpo's by about that. Paper:
/// Lambert et al. 2024 (Tulu 3), arXiv:2411.15124. reward_S = beta h / n.
struct DpoNormOptions {
  static constexpr std::string_view kKind = "dpo_norm";
  static constexpr std::string_view kPaper = "2411.15124";
  static constexpr std::string_view kSummary =
      "Length-normalised DPO: log-ratios a token, as in Tulu 3";
  static constexpr std::string_view kAdvice = "beta 5; lr 5e-7, linear schedule, one epoch";
  static constexpr Needs kNeeds{};

  double beta = 5;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference, by the token", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const DpoNormOptions& options);

}  // namespace attune::objective
