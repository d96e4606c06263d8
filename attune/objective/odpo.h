#pragma once

#include <string>
#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO with an offset.
///
///   gap  = max(0.001, score[winner] - score[loser])           [P]
///   a    = alpha log gap   (scale: log)    or    alpha gap   (scale: linear)
///   z    = beta (h[winner] - h[loser]) - a                    [P]
///   loss = -log sigmoid(z)                                    [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner). A
/// gap below 1 has a negative logarithm and so an easier target. Paper: Amini et al. 2024,
/// arXiv:2402.10571. With alpha = 0 it is DPO. reward_S = beta h.
struct OdpoOptions {
  static constexpr std::string_view kKind = "odpo";
  static constexpr std::string_view kPaper = "2402.10571";
  static constexpr std::string_view kSummary =
      "ODPO: DPO with a margin that grows with the gap of the two scores";
  static constexpr std::string_view kAdvice =
      "alpha 1, scale log; rows with score_chosen and score_rejected";
  static constexpr Needs kNeeds{.scores = true};

  double beta = 0.1;          ///< Pull towards the reference, above 0.
  double alpha = 1;           ///< Factor of the offset, 0 or more.
  std::string scale = "log";  ///< Of the gap: "log" or "linear".

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("alpha", alpha, {.help = "factor of the offset", .at_least = 0});
    field("scale",
          scale,
          {.help = "how the offset grows with the gap of the scores", .one_of = {"linear", "log"}});
  }
};

TermOutput loss(const TermInput& in, const OdpoOptions& options);

}  // namespace attune::objective
