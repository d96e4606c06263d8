#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Contrastive Preference Optimization: DPO against a uniform reference, and the winner's NLL.
///
///   z    = beta (policy.sum[winner] - policy.sum[loser])                      [P]
///   nll  = -policy.sum / policy.count                                         [S]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)
///          + alpha (p nll[winner] + (1 - p) nll[loser])                       [P]
///
/// Paper: Xu et al. 2024, arXiv:2401.08417, at p = 1; the NLL is a mean over each
/// completion's tokens. reward_S = beta policy.sum.
struct CpoOptions {
  static constexpr std::string_view kKind = "cpo";
  static constexpr std::string_view kPaper = "2401.08417";
  static constexpr std::string_view kSummary =
      "Contrastive Preference Optimization: reference-free DPO plus the winner's NLL";
  static constexpr std::string_view kAdvice = "beta 0.1, alpha 1; LoRA or full, lr 1e-6 to 1e-4";
  static constexpr Needs kNeeds{.reference = false};

  double beta = 0.1;  ///< Scale of the log-prob, above 0.
  double alpha = 1;   ///< Factor of the NLL, 0 or more.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "scale of the difference of log-probs", .above = 0});
    field("alpha", alpha, {.help = "factor of the winner's NLL per token", .at_least = 0});
  }
};

TermOutput loss(const TermInput& in, const CpoOptions& options);

}  // namespace attune::objective
