#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Anchored Preference Optimization, down.
///
///   loss = sigmoid(beta h[winner]) + sigmoid(-beta (h[winner] - h[loser]))    [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// At the reference the winner has no slope, past it a gentle one down. Paper: D'Oosterlinck et
/// al. 2024, arXiv:2408.06266. reward_S = beta h.
struct ApoDownOptions {
  static constexpr std::string_view kKind = "apo_down";
  static constexpr std::string_view kPaper = "2408.06266";
  static constexpr std::string_view kSummary =
      "APO-down: both sides down, losers more; for a model better than its data";
  static constexpr std::string_view kAdvice = "beta 0.05 to 0.1; lr 2e-7 to 1e-6";
  static constexpr Needs kNeeds{};
  static constexpr bool kNoSignAtZero = true;  ///< At no margin it may push either way.

  double beta = 0.1;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const ApoDownOptions& options);

}  // namespace attune::objective
