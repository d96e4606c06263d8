#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Odds Ratio Preference Optimization: the winner's NLL and a penalty on the ratio of odds.
///
///   a    = policy.sum / policy.count, at most -1e-6 in the odds               [S]
///   o    = a - log(1 - exp(a))                                                [S]
///   l(w, l) = -a[w] - lambda log sigmoid(o[w] - o[l])
///   loss = p l(winner, loser) + (1 - p) l(loser, winner)                      [P]
///
/// Paper: Hong, Lee and Thorne 2024, arXiv:2403.07691, eq. 6 and 7, at p = 1. The NLL is that of
/// the completion alone, a mean over its own tokens. reward_S = lambda a.
struct OrpoOptions {
  static constexpr std::string_view kKind = "orpo";
  static constexpr std::string_view kPaper = "2403.07691";
  static constexpr std::string_view kSummary =
      "Odds Ratio Preference Optimization: fine-tuning and preferences in one stage, no reference";
  static constexpr std::string_view kAdvice = "lambda 0.1, lr 8e-6, from a base model";
  static constexpr Needs kNeeds{.reference = false};

  double lambda = 0.1;  ///< Factor of the odds-ratio part, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("lambda", lambda, {.help = "factor of the odds-ratio part", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const OrpoOptions& options);

}  // namespace attune::objective
