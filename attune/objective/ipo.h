#pragma once

#include <string>
#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Identity Preference Optimization.
///
///   D    = h[winner] - h[loser]                               [P]   average: sum
///   D    = h[winner] / n[winner] - h[loser] / n[loser]        [P]   average: mean
///   loss = (D - 1 / (2 tau))^2                                [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// Its optimum is D = (p - 1/2) / tau. Paper: Azar et al. 2023, arXiv:2310.12036, eq. 17, with
/// sums; means over the n tokens are what TRL has. reward_S = tau h, or tau h / n.
struct IpoOptions {
  static constexpr std::string_view kKind = "ipo";
  static constexpr std::string_view kPaper = "2310.12036";
  static constexpr std::string_view kSummary =
      "IPO: the margin of two log-ratios is drawn to a finite target by its square";
  static constexpr std::string_view kAdvice =
      "tau 0.1; average sum is the paper's own form; clip gradients";
  static constexpr Needs kNeeds{};

  double tau = 0.1;              ///< Pull towards the reference, above 0.
  std::string average = "mean";  ///< "mean" over a completion's tokens, or "sum".

  template <class Visitor>
  void fields(Visitor&& field) {
    field(
        "tau", tau, {.help = "pull towards the reference; the target is 1 / (2 tau)", .above = 0});
    field("average",
          average,
          {.help = "log-ratio of a completion: over its tokens the mean, as in TRL, or the sum",
           .one_of = {"mean", "sum"}});
  }
};

TermOutput loss(const TermInput& in, const IpoOptions& options);

}  // namespace attune::objective
