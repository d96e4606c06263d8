#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO-Positive (Smaug).
///
///   z    = beta (h[winner] - h[loser] - lambda max(0, -h[winner]))            [P]
///   loss = -log sigmoid(z)                                                    [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// Where the winner is exactly as likely as under the reference, as at a fresh adapter's first
/// step, the slope of the maximum is taken as 1/2, the mean of both sides. Paper: Pal et al. 2024,
/// arXiv:2402.13228. With lambda = 0 it is DPO. reward_S = beta h.
struct DpopOptions {
  static constexpr std::string_view kKind = "dpop";
  static constexpr std::string_view kPaper = "2402.13228";
  static constexpr std::string_view kSummary =
      "DPO-Positive: DPO with a penalty on a winner that falls below the reference";
  static constexpr std::string_view kAdvice = "lambda 5 to 50; beta 0.3 in the paper";
  static constexpr Needs kNeeds{};

  double beta = 0.1;  ///< Pull towards the reference, above 0.
  double lambda = 5;  ///< Of the penalty, 0 or more.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("lambda",
          lambda,
          {.help = "factor of the penalty on winners below the reference", .at_least = 0});
  }
};

TermOutput loss(const TermInput& in, const DpopOptions& options);

}  // namespace attune::objective
