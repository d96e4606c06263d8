#pragma once

#include <string>
#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// Reward-aware Preference Optimization (RPO of Nemotron-4).
///
///   z    = beta (h[winner] - h[loser])                                                 [P]
///   g    = eta (score[winner] - score[loser])                                          [P]
///   loss = KL( Bernoulli(sigmoid(g)) || Bernoulli(sigmoid(z)) )      form: kl_bwd      [P]
///   loss = (z - g)^2                                                 form: squared     [P]
///
/// The scores say all: a comparison's probability is not read. kl_bwd is DPO with the soft label
/// sigmoid(g), less its entropy. Paper: Adler et al. 2024 (Nemotron-4 340B), arXiv:2406.11704,
/// section 3.3.2; forms by Sun et al. 2025, arXiv:2502.00203. reward_S = beta h.
struct RewardAwareOptions {
  static constexpr std::string_view kKind = "reward_aware";
  static constexpr std::string_view kPaper = "2406.11704";
  static constexpr std::string_view kSummary =
      "Reward-aware preference optimization: the margin is to equal the gap of the scores";
  static constexpr std::string_view kAdvice =
      "eta 1, form kl_bwd; rows with score_chosen and score_rejected";
  static constexpr Needs kNeeds{.scores = true};

  double beta = 0.1;            ///< Pull towards the reference, above 0.
  double eta = 1;               ///< Nats of reward for a unit of score, above 0.
  std::string form = "kl_bwd";  ///< "kl_bwd" or "squared".

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("eta", eta, {.help = "nats of reward for a unit of score", .above = 0});
    field("form",
          form,
          {.help = "distance of the margin from the gap", .one_of = {"kl_bwd", "squared"}});
  }
};

TermOutput loss(const TermInput& in, const RewardAwareOptions& options);

}  // namespace attune::objective
