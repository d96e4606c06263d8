#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Binary Classifier Optimization over comparisons: the winner is one class, the loser the other.
///
///   r    = beta (policy.sum - reference.sum)                                   [S]
///   l(w, l) = -log sigmoid(r[w] - shift) - log sigmoid(-(r[l] - shift))
///   loss = p l(winner, loser) + (1 - p) l(loser, winner)                       [P]
///
/// Paper: Jung et al. 2024, arXiv:2404.04656, at p = 1, with a shift that stays as it is. A
/// running shift is `bco_unpaired`'s, which reads winners and losers too. reward_S = r.
struct BcoOptions {
  static constexpr std::string_view kKind = "bco";
  static constexpr std::string_view kPaper = "2404.04656";
  static constexpr std::string_view kSummary =
      "Binary Classifier Optimization over pairs: winners above a fixed reward, losers below";
  static constexpr std::string_view kAdvice = "beta 0.01, lr 5e-7";
  static constexpr Needs kNeeds{};

  double beta = 0.1;  ///< Pull towards the reference, above 0.
  double shift = 0;   ///< The reward that divides winners from losers, any number.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference; the paper uses 0.01", .above = 0});
    field(
        "shift",
        shift,
        {.help = "the reward that divides winners from losers", .at_least = -1e6, .at_most = 1e6});
  }
};

TermOutput loss(const TermInput& in, const BcoOptions& options);

}  // namespace attune::objective
