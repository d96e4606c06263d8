#pragma once

#include <string_view>

#include "attune/core/field.h"

namespace attune::objective {

/// Direct Preference Optimization (Rafailov et al. 2023), with the conservative form of label
/// noise.
struct DpoOptions {
  static constexpr std::string_view kKind = "dpo";
  static constexpr std::string_view kPaper = "2305.18290";
  static constexpr std::string_view kSummary =
      "Direct Preference Optimization: a logistic loss on the difference of two log-ratios";

  static constexpr bool kNeedsReference = true;

  double beta = 0.1;             ///< Pull towards the reference, above 0.
  double label_smoothing = 0.0;  ///< Chance that a label is flipped, in [0, 0.5).

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference; papers use 0.01 to 0.5", .above = 0});
    field("label_smoothing",
          label_smoothing,
          {.help = "chance that a label is flipped", .at_least = 0, .below = 0.5});
  }
};

}  // namespace attune::objective
