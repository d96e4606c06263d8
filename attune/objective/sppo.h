#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Self-Play Preference Optimization.
///
///   d(y) = h(y) - (P(y) - 1/2) / beta                                 [S]
///   loss = (d[winner]^2 + d[loser]^2) / 2                             [P]
///
/// P is the chance that a completion beats the policy's own: by `targets`
///   probability  the comparison's own p and 1 - p: 1 and 0 where the row says nothing
///   hard         1 and 0 for the likelier side, 1/2 for a tie
///   column       for each completion the number in the column `win_rate` of data.values; one
///                outside of [0, 1] is an error
/// Paper: Wu et al. 2024, arXiv:2405.00675, with beta = 1 / eta. reward_S = beta h.
struct SppoOptions {
  static constexpr std::string_view kKind = "sppo";
  static constexpr std::string_view kPaper = "2405.00675";
  static constexpr std::string_view kSummary =
      "SPPO: each log-ratio is drawn to a target by the chance that the completion wins";
  static constexpr std::string_view kAdvice =
      "beta 0.001 with lr 5e-7 and clipped gradients; the policy's own samples as data";
  static constexpr Needs kNeeds{};

  double beta = 0.001;                  ///< Pull towards the reference, above 0.
  std::string targets = "probability";  ///< Where P comes from.
  std::string win_rate = "win_rate";    ///< Column of data.values, in [0, 1]; for targets: column.

  /// Of data.values.
  [[nodiscard]] std::vector<std::string> columns() const {
    return targets == "column" ? std::vector{win_rate} : std::vector<std::string>{};
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta",
          beta,
          {.help = "pull towards the reference; targets are +-1 / (2 beta)", .above = 0});
    field("targets",
          targets,
          {.help = "chance to win of each side: by the comparison, rounded, or from a column",
           .one_of = {"column", "hard", "probability"}});
    field("win_rate",
          win_rate,
          {.help = "column of data.values with each completion's chance to win"});
  }
};

TermOutput loss(const TermInput& in, const SppoOptions& options);

}  // namespace attune::objective
