#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Sequence Likelihood Calibration with human feedback, without a reference.
///
///   loss = max(0, delta - log pi(y_w) + log pi(y_l)) - sft_weight log pi(y_w)          [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// Paper: Zhao et al. 2023, arXiv:2305.10425, log-probs as sums over tokens; its y_ref is the
/// winner here. reward_S = log pi(y|x).
struct SlicOptions {
  static constexpr std::string_view kKind = "slic";
  static constexpr std::string_view kPaper = "2305.10425";
  static constexpr std::string_view kSummary =
      "SLiC-HF: a hinge on the log-probs themselves, with the likelihood of the winner beside it";
  static constexpr std::string_view kAdvice = "delta 1, sft_weight 0.1; lr as for fine-tuning";
  static constexpr Needs kNeeds{.reference = false};

  double delta = 1;         ///< Margin asked for, nats, above 0.
  double sft_weight = 0.1;  ///< Of the winner's negative log-prob, 0 or more.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("delta", delta, {.help = "margin asked for between the two log-probs, nats", .above = 0});
    field("sft_weight",
          sft_weight,
          {.help = "factor of the winner's negative log-prob, a sum over tokens", .at_least = 0});
  }
};

TermOutput loss(const TermInput& in, const SlicOptions& options);

}  // namespace attune::objective
