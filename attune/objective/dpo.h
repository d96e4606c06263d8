#pragma once

#include "attune/objective/dpo_options.h"
#include "attune/objective/scores.h"

namespace attune::objective {

/// Direct Preference Optimization.
///
///   h    = policy.sum - reference.sum                        [S]
///   z    = beta (h[winner] - h[loser])                       [P]
///   p    = (1 - e) probability + e (1 - probability)         [P]
///   loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)       [P]
///
/// Paper: Rafailov et al. 2023, arXiv:2305.18290, eq. 7, at p = 1. With e = `label_smoothing` > 0
/// it is conservative DPO (Mitchell 2023, eq. 3); with a probability below 1, soft-label DPO.
///
/// @param policy     Carries gradients.
/// @param reference  Carries none.
/// @return           loss_P in nats, 0 or more. reward_S = beta h.
/// @throws Error     If a shape differs, P is 0, or an option is out of bounds.
TermOutput dpo(const SequenceLogps& policy,
               const SequenceLogps& reference,
               const Comparisons& pairs,
               const DpoOptions& options);

}  // namespace attune::objective
