#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// AlphaPO: SimPO with a reward that bends the mean log-prob.
///
///   a    = policy.sum / policy.count                                          [S]
///   r(a) = (1 - exp(-alpha a)) / alpha;  a at alpha = 0                       [S]
///   z    = beta (r[winner] - r[loser]),  g = beta gamma_ratio                 [P]
///   loss = -p log sigmoid(z - g) - (1 - p) log sigmoid(-z - g)                [P]
///
/// Paper: Gupta et al. 2025, arXiv:2501.03884, at p = 1; p as in SimPO, which it is at alpha = 0.
/// Where -alpha a passes 20 the exponential goes on as its tangent: finite, and never without
/// slope. reward_S = beta r.
struct AlphapoOptions {
  static constexpr std::string_view kKind = "alphapo";
  static constexpr std::string_view kPaper = "2501.03884";
  static constexpr std::string_view kSummary =
      "AlphaPO: SimPO with a reward shaped by alpha, against overly certain or vanishing winners";
  static constexpr std::string_view kAdvice =
      "alpha 0.25, beta 2.5, gamma_ratio 0.04; full fine-tuning at lr 7e-7";
  static constexpr Needs kNeeds{.reference = false};

  double beta = 2;           ///< Scale of the reward, above 0.
  double gamma_ratio = 0.5;  ///< Target margin as a share of beta, 0 or more.
  double alpha = 0.25;       ///< Bend of the reward, any sign; 0: SimPO.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "scale of the reward", .above = 0});
    field("gamma_ratio", gamma_ratio, {.help = "target margin in units of beta", .at_least = 0});
    field("alpha",
          alpha,
          {.help = "bend of the reward; 0 is SimPO, above 0 unlikely completions weigh more",
           .at_least = -10,
           .at_most = 10});
  }
};

TermOutput loss(const TermInput& in, const AlphapoOptions& options);

}  // namespace attune::objective
