#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Discovered Preference Optimization, or log-ratio modulated loss.
///
///   x    = beta (h[winner] - h[loser])                                        [P]
///   m    = sigmoid(x / tau)                                                   [P]
///   loss = -(1 - m) log sigmoid(x) + m exp(-x)                                [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// Not convex: at x = 0 with tau = 0.05 the slope is +0.78, the wrong way, as published. Paper: Lu
/// et al. 2024, arXiv:2406.08414. reward_S = beta h.
struct DiscopopOptions {
  static constexpr std::string_view kKind = "discopop";
  static constexpr std::string_view kPaper = "2406.08414";
  static constexpr std::string_view kSummary =
      "DiscoPOP: a logistic and an exponential loss blended by the margin, found by search";
  static constexpr std::string_view kAdvice = "beta 0.05, tau 0.05; lr 5e-7";
  static constexpr Needs kNeeds{};
  static constexpr bool kNoSignAtZero = true;  ///< At no margin it may push either way.

  double beta = 0.05;  ///< Pull towards the reference, above 0.
  double tau = 0.05;   ///< Width of the blend, in (0, 1].

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("tau", tau, {.help = "width of the blend, in units of reward", .above = 0, .at_most = 1});
  }
};

TermOutput loss(const TermInput& in, const DiscopopOptions& options);

}  // namespace attune::objective
