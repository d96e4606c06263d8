#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Noise Contrastive Alignment, for pairs.
///
///   r    = beta h                                                                      [S]
///   loss = -log sigmoid(r[w]) - (log sigmoid(-r[w]) + log sigmoid(-r[l])) / 2          [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner). A
/// completion that is preferred with probability p comes to rest at sigmoid(r) = p / (p + 1/2).
/// Paper: Chen et al. 2024, arXiv:2402.05369 with K = 2. reward_S = r.
struct NcaOptions {
  static constexpr std::string_view kKind = "nca";
  static constexpr std::string_view kPaper = "2402.05369";
  static constexpr std::string_view kSummary =
      "NCA: each reward against an anchor of its own, so that winners do not sink";
  static constexpr std::string_view kAdvice = "beta 0.01; lr 5e-6";
  static constexpr Needs kNeeds{};

  double beta = 0.01;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const NcaOptions& options);

}  // namespace attune::objective
