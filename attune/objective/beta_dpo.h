#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO with a dynamic beta.
///
///   D_i    = (2 p - 1) (h[winner] - h[loser])                                          [P]
///   g_i    = exp(-((D_i - M) / S)^2 / 2)                                               [P]
///   keep_i = min(1, c g_i), with c such that the kept weight is 1 - filter of the step's
///   b      = max(0.001, beta (1 + alpha (mean of D by keep - M)))                      one number
///   loss_i = keep_i / (1 - filter) * DPO at beta = b                                   [P]
///
/// M and S are moving averages (share `momentum` of the old) of the margins' mean and standard
/// deviation over earlier steps; the first step has its own. The paper draws a share of 1 - filter
/// of the pairs without replacement, with chances by g; here each pair counts with the chance of
/// being drawn, so that a step is a function of its data. b and keep carry no gradient. Paper: Wu
/// et al. 2024, arXiv:2407.08639. With alpha = 0 and filter = 0 it is DPO. reward_S = b h.
struct BetaDpoOptions {
  static constexpr std::string_view kKind = "beta_dpo";
  static constexpr std::string_view kPaper = "2407.08639";
  static constexpr std::string_view kSummary =
      "beta-DPO: beta follows the step's margins, and odd pairs are filtered";
  static constexpr std::string_view kAdvice = "beta 0.1, alpha 0.6; large steps";
  static constexpr Needs kNeeds{.whole_step = true};
  static constexpr bool kDetaches = true;  ///< Parts of the loss are held fixed.

  double beta = 0.1;      ///< Where the dynamic one starts, 0.001 or more.
  double alpha = 0.6;     ///< How much beta follows the margins, 0 or more.
  double filter = 0.2;    ///< Share of the pairs that is left out, in [0, 1).
  double momentum = 0.9;  ///< Share of the old in the moving averages, in [0, 1).

  /// The usual margins are of the steps so far.
  [[nodiscard]] static bool moves() {
    return true;
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta",
          beta,
          {.help = "pull towards the reference at the usual margin", .at_least = 0.001});
    field("alpha", alpha, {.help = "how much beta follows the step's margins", .at_least = 0});
    field("filter",
          filter,
          {.help = "share of the pairs that is left out as odd", .at_least = 0, .below = 1});
    field("momentum",
          momentum,
          {.help = "share of the old in the moving averages", .at_least = 0, .below = 1});
  }
};

TermOutput loss(const TermInput& in, const BetaDpoOptions& options);

}  // namespace attune::objective
