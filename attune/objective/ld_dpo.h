#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Length-desensitised DPO.
///
///   l      = min(n[winner], n[loser])                                                  [P]
///   h'(y)  = sum over tokens t of y: c_t (log pi(y_t) - log pi_ref(y_t))
///            c_t = 1 for the first l tokens, alpha for those behind them
///   z      = beta (h'(winner) - h'(loser))                                             [P]
///   loss   = -p log sigmoid(z) - (1 - p) log sigmoid(-z)                               [P]
///
/// Paper: Liu et al. 2024, arXiv:2409.06411. With alpha = 1 it is DPO. reward_S = beta h, with
/// every token counted: which tokens are behind depends on the other side.
struct LdDpoOptions {
  static constexpr std::string_view kKind = "ld_dpo";
  static constexpr std::string_view kPaper = "2409.06411";
  static constexpr std::string_view kSummary =
      "LD-DPO: tokens past the length of the shorter side count less";
  static constexpr std::string_view kAdvice = "alpha 0.3 to 0.8; beta as for dpo";
  static constexpr Needs kNeeds{.tokens = true};

  double beta = 0.1;   ///< Pull towards the reference, above 0.
  double alpha = 0.5;  ///< Factor of the tokens behind, in [0, 1].

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field(
        "alpha",
        alpha,
        {.help = "what tokens past the shorter side's length count", .at_least = 0, .at_most = 1});
  }
};

TermOutput loss(const TermInput& in, const LdDpoOptions& options);

}  // namespace attune::objective
