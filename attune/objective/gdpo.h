#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Geometric-averaged preference optimization: soft labels as weights inside the logarithm.
///
///   z    = beta (2 p - 1) (h[winner] - h[loser])              [P]
///   loss = -log sigmoid(z)                                    [P]
///
/// The likelihood of each side is the geometric mean of both by p. An unsure label has a small
/// slope and no finite optimum, where dpo's soft label stops at z = logit p. p below 1/2 turns the
/// pair round. Paper: Furuta et al. 2024, arXiv:2409.06691. With p = 1 it is DPO. reward_S = beta
/// h.
struct GdpoOptions {
  static constexpr std::string_view kKind = "gdpo";
  static constexpr std::string_view kPaper = "2409.06691";
  static constexpr std::string_view kSummary =
      "GDPO: soft labels scale the margin, so that an unsure pair pushes little";
  static constexpr std::string_view kAdvice = "beta 0.1; rows with a probability column";
  static constexpr Needs kNeeds{};

  double beta = 0.1;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const GdpoOptions& options);

}  // namespace attune::objective
