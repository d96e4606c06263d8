#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/label_weights.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Kahneman-Tversky Optimization: learns from single completions, each desirable or not.
///
///   h    = policy.sum - reference.sum                                          [S]
///   kl   = max(0, weighted mean of h over the strangers), held fixed           one number
///   loss = desirable_weight   (1 - sigmoid(beta (h - kl)))    where desirable  [S]
///        = undesirable_weight (1 - sigmoid(beta (kl - h)))    where undesirable
///
/// Paper: Ethayarajh et al. 2024, arXiv:2402.01306, section 4. A stranger is a completion of
/// another prompt of the step; it weighs what the labels of the prompt it is put under weigh. kl is
/// in the units of h, and 0 where a step has one prompt only. reward_S = beta h.
struct KtoOptions {
  static constexpr std::string_view kKind = "kto";
  static constexpr std::string_view kPaper = "2402.01306";
  static constexpr std::string_view kSummary =
      "Kahneman-Tversky Optimization: single completions that are desirable or undesirable";
  static constexpr std::string_view kAdvice =
      "beta 0.1, lr 5e-7 to 5e-6; with n_D and n_U examples, keep desirable_weight n_D / "
      "(undesirable_weight n_U) in 1 to 4/3";
  static constexpr Needs kNeeds{.unit = Unit::kLabel, .mismatched = true, .whole_step = true};
  static constexpr bool kDetaches = true;  // the estimate of the KL

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

TermOutput loss(const TermInput& in, const KtoOptions& options);

}  // namespace attune::objective
