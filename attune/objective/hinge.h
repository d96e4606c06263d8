#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// The hinge of Statistical Rejection Sampling Optimization.
///
///   z    = beta (h[winner] - h[loser])                       [P]
///   loss = max(0, 1 - z)                                     [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// Paper: Liu et al. 2023, arXiv:2309.06657 ("hinge-norm"). Past z = 1 a certain pair has no
/// slope. reward_S = beta h.
struct HingeOptions {
  static constexpr std::string_view kKind = "hinge";
  static constexpr std::string_view kPaper = "2309.06657";
  static constexpr std::string_view kSummary =
      "RSO: a hinge on the margin of two log-ratios; pairs past the margin are left alone";
  static constexpr std::string_view kAdvice = "beta 0.05 to 0.1; lr as for dpo";
  static constexpr Needs kNeeds{};

  double beta = 0.1;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const HingeOptions& options);

}  // namespace attune::objective
