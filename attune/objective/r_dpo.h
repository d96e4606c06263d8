#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Length-regularised DPO.
///
///   z    = beta (h[winner] - h[loser]) + alpha (n[winner] - n[loser])         [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)                        [P]
///
/// The optimum is pi_ref exp((r - alpha n) / beta): what the labels owe to n, the number of
/// tokens, is not learned. Paper: Park et al. 2024, arXiv:2403.19159. With alpha = 0 it is DPO.
/// reward_S = beta h + alpha n: the reward that the labels show.
struct RDpoOptions {
  static constexpr std::string_view kKind = "r_dpo";
  static constexpr std::string_view kPaper = "2403.19159";
  static constexpr std::string_view kSummary =
      "R-DPO: DPO for labels that favour length, which it takes out of the reward";
  static constexpr std::string_view kAdvice = "alpha 0.005 to 0.05 at beta 0.1";
  static constexpr Needs kNeeds{};

  double beta = 0.1;    ///< Pull towards the reference, above 0.
  double alpha = 0.01;  ///< Reward that the labels give for a token, 0 or more.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("alpha", alpha, {.help = "reward that the labels give for a token", .at_least = 0});
  }
};

TermOutput loss(const TermInput& in, const RDpoOptions& options);

}  // namespace attune::objective
