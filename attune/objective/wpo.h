#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Weighted Preference Optimization.
///
///   w(y)  = exp( mean_t [ log pi(y_t) - log sum_v pi(v)^2 ] )                          [S]
///   loss  = fixed(min(1, w(winner) w(loser))) DPO(winner, loser)                       [P]
///
/// fixed() lets no gradient through: the weights only say how much a pair counts, as if the policy
/// had sampled it. Paper: Zhou et al. 2024, arXiv:2406.11827. A probability below 1 makes the
/// second factor the soft-label loss of dpo. reward_S = beta h.
struct WpoOptions {
  static constexpr std::string_view kKind = "wpo";
  static constexpr std::string_view kPaper = "2406.11827";
  static constexpr std::string_view kSummary =
      "WPO: DPO weighted by how likely the policy itself is to write the pair";
  static constexpr std::string_view kAdvice = "beta 0.01; lr 5e-7";
  static constexpr Needs kNeeds{.tokens = true, .concentration = true};
  static constexpr bool kDetaches = true;  ///< Parts of the loss are held fixed.

  double beta = 0.01;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const WpoOptions& options);

}  // namespace attune::objective
