#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO without a reference: the same loss where the reference gives every completion the same
/// probability.
///
///   z    = beta (policy.sum[winner] - policy.sum[loser])                      [P]
///   p    = (1 - e) probability + e (1 - probability)                          [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)                        [P]
///
/// Paper: Rafailov et al. 2023, arXiv:2305.18290, eq. 7 with a uniform reference; e is
/// `label_smoothing`. reward_S = beta policy.sum.
struct DpoFreeOptions {
  static constexpr std::string_view kKind = "dpo_free";
  static constexpr std::string_view kPaper = "2305.18290";
  static constexpr std::string_view kSummary =
      "DPO without a reference: a uniform one in its place";
  static constexpr std::string_view kAdvice = "as dpo, beside an nll term; alone it drifts far";
  static constexpr Needs kNeeds{.reference = false};

  double beta = 0.1;             ///< Scale of the log-prob, above 0.
  double label_smoothing = 0.0;  ///< Chance that a label is flipped, in [0, 0.5).

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "scale of the difference of log-probs", .above = 0});
    field("label_smoothing",
          label_smoothing,
          {.help = "chance that a label is flipped", .at_least = 0, .below = 0.5});
  }
};

TermOutput loss(const TermInput& in, const DpoFreeOptions& options);

}  // namespace attune::objective
