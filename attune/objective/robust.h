#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Provably robust DPO (rDPO): in expectation over labels flipped with rate e, DPO on the true
/// ones.
///
///   f(z) = -log sigmoid(z),  z = beta (h[winner] - h[loser])          [P]
///   loss = ((1 - e) f(z) - e f(-z)) / (1 - 2 e)                       [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// So it is DPO with p replaced by (p - e) / (1 - 2 e), which may leave [0, 1]: the loss of a
/// certain pair falls without bound. Paper: Ray Chowdhury et al. 2024, arXiv:2403.00409. With e =
/// 0 it is DPO. reward_S = beta h.
struct RobustOptions {
  static constexpr std::string_view kKind = "robust";
  static constexpr std::string_view kPaper = "2403.00409";
  static constexpr std::string_view kSummary =
      "Robust DPO: unbiased when a known share of the labels is flipped";
  static constexpr std::string_view kAdvice =
      "label_smoothing: the share of flipped labels; stop early, the loss has no lower bound";
  static constexpr Needs kNeeds{};

  double beta = 0.1;             ///< Pull towards the reference, above 0.
  double label_smoothing = 0.1;  ///< Share of flipped labels, in [0, 0.5).

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("label_smoothing",
          label_smoothing,
          {.help = "share of the labels that is flipped", .at_least = 0, .below = 0.5});
  }
};

TermOutput loss(const TermInput& in, const RobustOptions& options);

}  // namespace attune::objective
