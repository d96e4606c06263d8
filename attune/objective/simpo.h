#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Simple Preference Optimization: the mean log-prob of a token is the reward; no reference.
///
///   a    = policy.sum / policy.count                                          [S]
///   z    = beta (a[winner] - a[loser]),  g = beta gamma_ratio                 [P]
///   loss = -p log sigmoid(z - g) - (1 - p) log sigmoid(-z - g)                [P]
///
/// Paper: Meng, Xia and Chen 2024, arXiv:2405.14734, eq. 6, at p = 1, with gamma = g. p is the
/// probability of the comparison: the expected loss over who is preferred, so that a tie pulls to
/// no margin. reward_S = beta a.
struct SimpoOptions {
  static constexpr std::string_view kKind = "simpo";
  static constexpr std::string_view kPaper = "2405.14734";
  static constexpr std::string_view kSummary =
      "Simple Preference Optimization: length-normalised log-probs with a target margin";
  static constexpr std::string_view kAdvice =
      "beta 2 to 10, gamma_ratio 0.5, full fine-tuning at lr 3e-7 to 1e-6; nothing holds the "
      "policy "
      "to a reference, so watch the log-probs";
  static constexpr Needs kNeeds{.reference = false};

  double beta = 2;           ///< Scale of the mean log-prob, above 0.
  double gamma_ratio = 0.5;  ///< Target margin as a share of beta, 0 or more.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "scale of the mean log-prob; the paper uses 2 to 10", .above = 0});
    field("gamma_ratio",
          gamma_ratio,
          {.help = "target margin in units of beta; the paper uses 0 to 1", .at_least = 0});
  }
};

TermOutput loss(const TermInput& in, const SimpoOptions& options);

}  // namespace attune::objective
