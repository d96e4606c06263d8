#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// The anchor of mDPO.
///
///   loss = -log sigmoid(beta h[winner] - delta)               [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// DPO trains a difference, and both sides may sink; this keeps the winner's log-ratio up. Of the
/// loser it says nothing: it stands beside another term. Paper: Wang et al. 2024,
/// arXiv:2406.11839. reward_S = beta h.
struct AnchorOptions {
  static constexpr std::string_view kKind = "anchor";
  static constexpr std::string_view kPaper = "2406.11839";
  static constexpr std::string_view kSummary =
      "mDPO's anchor: the winner's reward is to stay above a bound; beside another term";
  static constexpr std::string_view kAdvice = "delta 0; weight 1 beside dpo, as in mDPO";
  static constexpr Needs kNeeds{};

  double beta = 0.1;  ///< Pull towards the reference, above 0.
  double delta = 0;   ///< The bound, in units of reward.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("delta", delta, {.help = "bound that the winner's reward is to pass"});
  }
};

TermOutput loss(const TermInput& in, const AnchorOptions& options);

}  // namespace attune::objective
