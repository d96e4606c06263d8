#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Alignment via Optimal Transport: the distribution of the desirable completions' log-ratios is
/// pushed above that of the undesirable ones, quantile by quantile.
///
///   h    = policy.sum - reference.sum                                          [S]
///   A, B = the weighted quantile functions of h where desirable, undesirable
///   loss = integral over u in (0, 1) of -log sigmoid(beta (A(u) - B(u)))       [S], one value
///
/// Paper: Melnyk et al. 2024, arXiv:2406.05882, the unpaired logistic form. With as many
/// of both, of equal weight, that is: sort both, compare rank by rank. Other numbers and weights
/// are matched by their shares. Every item has the same loss, the step's; 0 where a side is empty.
/// Which is matched with which is held fixed in the slope. reward_S = beta h.
struct AotUnpairedOptions {
  static constexpr std::string_view kKind = "aot_unpaired";
  static constexpr std::string_view kPaper = "2406.05882";
  static constexpr std::string_view kSummary =
      "Alignment via Optimal Transport: sorted desirable above sorted undesirable log-ratios";
  static constexpr std::string_view kAdvice = "beta 0.01; many labels a step, 64 and more";
  static constexpr Needs kNeeds{.unit = Unit::kLabel, .whole_step = true};
  static constexpr bool kOneLoss = true;    ///< Every item is given the step's.
  static constexpr bool kDetaches = true;   // the matching
  static constexpr bool kBothSides = true;  // labels of one side alone teach nothing

  double beta = 0.1;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference; the paper uses 0.01", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const AotUnpairedOptions& options);

}  // namespace attune::objective
