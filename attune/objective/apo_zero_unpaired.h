#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/label_weights.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Anchored Preference Optimization, its zero form, from single completions.
///
///   h    = policy.sum - reference.sum                                          [S]
///   loss = desirable_weight   (1 - sigmoid(beta h))           where desirable  [S]
///        = undesirable_weight sigmoid(beta h)                 where undesirable
///
/// Paper: D'Oosterlinck et al. 2024, arXiv:2408.06266, the two parts of APO-zero each on
/// completions of their own: KTO whose estimate of the KL is 0. reward_S = beta h.
struct ApoZeroUnpairedOptions {
  static constexpr std::string_view kKind = "apo_zero_unpaired";
  static constexpr std::string_view kPaper = "2408.06266";
  static constexpr std::string_view kSummary =
      "Anchored Preference Optimization (zero) from single completions: KTO with its anchor at 0";
  static constexpr std::string_view kAdvice =
      "beta 0.1, lr 2e-7 to 1e-6; for data that is better than the model";
  static constexpr Needs kNeeds{.unit = Unit::kLabel};

  double beta = 0.1;          ///< Pull towards the reference, above 0.
  LabelWeights weights = {};  ///< Of desirable and undesirable completions.

  /// @throws Error if nothing has a weight.
  void check_together() const {
    weights.check_any(kKind);
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    weights.fields(field);
  }
};

TermOutput loss(const TermInput& in, const ApoZeroUnpairedOptions& options);

}  // namespace attune::objective
