#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Anchored Preference Optimization, zero.
///
///   loss = sigmoid(-beta h[winner]) + sigmoid(beta h[loser])                  [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// Bounded: slopes fade where |beta h| is large. Paper: D'Oosterlinck et al. 2024,
/// arXiv:2408.06266. reward_S = beta h.
struct ApoZeroOptions {
  static constexpr std::string_view kKind = "apo_zero";
  static constexpr std::string_view kPaper = "2408.06266";
  static constexpr std::string_view kSummary =
      "APO-zero: winners up and losers down, each by itself; for data better than the model";
  static constexpr std::string_view kAdvice = "beta 0.05 to 0.1; lr 2e-7 to 1e-6";
  static constexpr Needs kNeeds{};

  double beta = 0.1;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const ApoZeroOptions& options);

}  // namespace attune::objective
