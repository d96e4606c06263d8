#pragma once

#include <cstdint>
#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Token-level DPO.
///
///   D       = h[winner] - h[loser]                                                     [P]
///   K(y)    = sum_t KL(pi_ref(.|y_<t) || pi(.|y_<t))                                   [S]
///   version 1:  z = beta (D - (K[loser] - K[winner]))                                  [P]
///   version 2:  z = beta (D - alpha (K[loser] - fixed(K[winner])))                     [P]
///   loss    = -log sigmoid(z)                                                          [P]
///
/// With a probability p below 1 the loss is p loss(winner, loser) + (1 - p) loss(loser, winner).
/// fixed() lets no gradient through. Paper: Zeng et al. 2024, arXiv:2404.11999. At the reference
/// it is DPO. reward_S = beta h.
struct TdpoOptions {
  static constexpr std::string_view kKind = "tdpo";
  static constexpr std::string_view kPaper = "2404.11999";
  static constexpr std::string_view kSummary =
      "TDPO: DPO that also holds back the divergence token by token";
  static constexpr std::string_view kAdvice = "beta 0.1, version 2, alpha 0.5";
  static constexpr Needs kNeeds{.divergence = true};
  static constexpr bool kDetaches = true;  ///< Parts of the loss are held fixed.

  double beta = 0.1;    ///< Pull towards the reference, above 0.
  int64_t version = 2;  ///< 1 or 2.
  double alpha = 0.5;   ///< Of the divergences in version 2, 0 or more.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("version", version, {.help = "the paper's TDPO1 or TDPO2", .at_least = 1, .at_most = 2});
    field("alpha", alpha, {.help = "factor of the divergences, for version 2", .at_least = 0});
  }
};

TermOutput loss(const TermInput& in, const TdpoOptions& options);

}  // namespace attune::objective
