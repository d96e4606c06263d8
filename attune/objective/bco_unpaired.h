#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Binary Classifier Optimization from single completions, with a running reward shift.
///
///   r     = beta (policy.sum - reference.sum)                                  [S]
///   m_D  <- momentum m_D + (1 - momentum) (step's weighted mean of r where desirable); m_U alike
///   shift = (m_D + m_U) / 2, held fixed                                        one number
///   loss  = -log sigmoid(r - shift)       where desirable                      [S]
///         = -log sigmoid(-(r - shift))    where undesirable
///
/// Paper: Jung et al. 2024, arXiv:2404.04656. m_D and m_U begin at the first step's
/// means; a step without one side leaves that side's as it is, and a side never seen is left out of
/// the shift. Without training they stand still. reward_S = r.
struct BcoUnpairedOptions {
  static constexpr std::string_view kKind = "bco_unpaired";
  static constexpr std::string_view kPaper = "2404.04656";
  static constexpr std::string_view kSummary =
      "Binary Classifier Optimization: single completions and a running reward shift";
  static constexpr std::string_view kAdvice =
      "beta 0.01, lr 5e-7; weight rows where desirable and undesirable prompts differ";
  static constexpr Needs kNeeds{.unit = Unit::kLabel, .whole_step = true};
  static constexpr bool kDetaches = true;  // the shift

  double beta = 0.1;      ///< Pull towards the reference, above 0.
  double momentum = 0.9;  ///< How much of the running means stays each step, in [0, 1).

  /// The shift is of the steps so far.
  [[nodiscard]] static bool moves() {
    return true;
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference; the paper uses 0.01", .above = 0});
    field("momentum",
          momentum,
          {.help = "how much of the running mean rewards stays each step",
           .at_least = 0,
           .below = 1});
  }
};

TermOutput loss(const TermInput& in, const BcoUnpairedOptions& options);

}  // namespace attune::objective
