#pragma once

#include <string>
#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO under an f-divergence.
///
///   g(h) = f'(e^h):   reverse_kl  h                 forward_kl  -e^-h
///                     js          log sigmoid(h)    alpha       (1 - e^(-alpha h)) / alpha
///   z    = beta (g(h[winner]) - g(h[loser]))                                           [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)                                 [P]
///
/// reverse_kl is DPO; alpha goes from it, at 0, to forward_kl, at 1. Exponents are held at 80.
/// Paper: Wang et al. 2023, arXiv:2309.16240, table 1, with its alpha: TRL's coefficient is 1 -
/// alpha. reward_S = beta g(h).
struct FDpoOptions {
  static constexpr std::string_view kKind = "f_dpo";
  static constexpr std::string_view kPaper = "2309.16240";
  static constexpr std::string_view kSummary =
      "f-DPO: DPO under another divergence from the reference";
  static constexpr std::string_view kAdvice =
      "divergence js or alpha for more variety in what the policy says; beta as for dpo";
  static constexpr Needs kNeeds{};

  double beta = 0.1;              ///< Pull towards the reference, above 0.
  std::string divergence = "js";  ///< "reverse_kl", "forward_kl", "js" or "alpha".
  double alpha = 0.5;             ///< Of the alpha-divergence, in (0, 1).

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("divergence",
          divergence,
          {.help = "from the reference", .one_of = {"alpha", "forward_kl", "js", "reverse_kl"}});
    field(
        "alpha",
        alpha,
        {.help = "of the alpha-divergence: 0 is reverse_kl, 1 forward_kl", .above = 0, .below = 1});
  }
};

TermOutput loss(const TermInput& in, const FDpoOptions& options);

}  // namespace attune::objective
