#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Alignment via Optimal Transport, for pairs.
///
///   a    = sorted(log pi(y_w) - log pi(y_l)), over the step
///   b    = sorted(log pi_ref(y_w) - log pi_ref(y_l)), over the step
///   loss = mean over ranks k of -log sigmoid(beta (a_k - b_k))
///
/// Each policy margin is matched with the reference margin of its own rank, not of its own pair. A
/// pair of weight w and probability p is a mass of w p at its margin and of w (1 - p) at minus
/// that; ranks are shares of mass, so that weights and soft labels keep their meaning. An item's
/// loss is the mean over its mass; equal margins share what they are matched with. Takes P^2
/// numbers of memory. Paper: Melnyk et al. 2024, arXiv:2406.05882 with the logistic loss. A step
/// of one pair is DPO if its probability is 0 or 1, or if policy and reference lean the same way;
/// else the likelier way round of one meets the less likely one of the other. reward_S = beta h.
struct AotOptions {
  static constexpr std::string_view kKind = "aot";
  static constexpr std::string_view kPaper = "2406.05882";
  static constexpr std::string_view kSummary =
      "AOT: the step's margins as a distribution, to lie above the reference's at every rank";
  static constexpr std::string_view kAdvice =
      "beta 0.01; large steps, for margins are compared by rank";
  static constexpr Needs kNeeds{.whole_step = true};

  double beta = 0.01;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const AotOptions& options);

}  // namespace attune::objective
