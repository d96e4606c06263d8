#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Direct Preference Optimization, with the conservative form of label noise and soft labels.
///
///   h    = policy.sum - reference.sum                        [S]
///   z    = beta (h[winner] - h[loser])                       [P]
///   p    = (1 - e) probability + e (1 - probability)         [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)       [P]
///
/// Paper: Rafailov et al. 2023, arXiv:2305.18290, eq. 7, at p = 1. With e = `label_smoothing` > 0
/// it is conservative DPO (Mitchell 2023, eq. 3); with a probability below 1, soft-label DPO.
/// reward_S = beta h.
struct DpoOptions {
  static constexpr std::string_view kKind = "dpo";
  static constexpr std::string_view kPaper = "2305.18290";
  static constexpr std::string_view kSummary =
      "Direct Preference Optimization: a logistic loss on the difference of two log-ratios";
  static constexpr std::string_view kAdvice = "beta 0.1; full fine-tuning at lr 5e-7, LoRA 1e-5";
  static constexpr Needs kNeeds{};

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

TermOutput loss(const TermInput& in, const DpoOptions& options);

}  // namespace attune::objective
