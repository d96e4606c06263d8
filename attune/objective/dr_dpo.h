#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Distributionally robust DPO: the whole step's pairs by a soft minimum of their losses.
///
///   f_i  = -log sigmoid(beta (h[winner] - h[loser]))                                   [P]
///   loss = -t log( sum_i w_i exp(-f_i / t) / sum_i w_i ),  t = temperature             one number
///
/// Every item is given this number, so that the step's mean is it. A pair that the policy finds
/// implausible, as a flipped one would be, counts less; t without bound is DPO. A probability
/// below 1 makes f the soft-label loss of dpo. Paper: Wu et al. 2024, arXiv:2407.07880; its beta'
/// is t. reward_S = beta h.
struct DrDpoOptions {
  static constexpr std::string_view kKind = "dr_dpo";
  static constexpr std::string_view kPaper = "2407.07880";
  static constexpr std::string_view kSummary =
      "Dr. DPO: a soft minimum over the step's pairs, which distrusts the implausible ones";
  static constexpr std::string_view kAdvice =
      "temperature 1; large steps, for it weighs pairs against each other";
  static constexpr Needs kNeeds{.whole_step = true};
  static constexpr bool kOneLoss = true;  ///< Every item is given the step's.

  double beta = 0.1;       ///< Pull towards the reference, above 0.
  double temperature = 1;  ///< The paper's beta', nats, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("temperature",
          temperature,
          {.help = "the paper's beta': lower distrusts implausible pairs more", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const DrDpoOptions& options);

}  // namespace attune::objective
