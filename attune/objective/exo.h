#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Efficient Exact Optimization, for pairs.
///
///   q    = sigmoid(beta (h[winner] - h[loser]))               [P]
///   p'   = (1 - e) p + e (1 - p)                              [P]
///   loss = q log(q / p') + (1 - q) log((1 - q) / (1 - p'))    [P]
///
/// KL(policy || label), where dpo has KL(label || policy) up to a constant: its slope fades on
/// pairs that are badly wrong. e = `label_smoothing` must be above 0: a certain label has no
/// finite divergence, and below 1e-6 f32 hardly tells it from 0. Paper: Ji et al. 2024,
/// arXiv:2402.00856. reward_S = beta h.
struct ExoOptions {
  static constexpr std::string_view kKind = "exo";
  static constexpr std::string_view kPaper = "2402.00856";
  static constexpr std::string_view kSummary =
      "EXO: the reverse divergence from the policy's choice to the label's";
  static constexpr std::string_view kAdvice = "beta 0.1, label_smoothing 0.001; lr 1e-6";
  static constexpr Needs kNeeds{};

  double beta = 0.1;               ///< Pull towards the reference, above 0.
  double label_smoothing = 0.001;  ///< Chance that a label is flipped, in [1e-6, 0.5).

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("label_smoothing",
          label_smoothing,
          {.help = "chance that a label is flipped", .at_least = 1e-6, .below = 0.5});
  }
};

TermOutput loss(const TermInput& in, const ExoOptions& options);

}  // namespace attune::objective
