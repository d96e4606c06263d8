// One optimizer step: the heart of training.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "attune/objective/registry.h"
#include "attune/optim/adamw.h"
#include "attune/train/batch.h"

namespace attune::train {

/// The parts of a step, by name, so that a test can run it on a model of one number.
struct StepParts {
  const objective::Objective* objective = nullptr;
  optim::AdamW* optimizer = nullptr;
  /// Log-probs of the policy, with gradients.
  std::function<objective::SequenceLogps(const PreferenceBatch&)> policy;
  /// Log-probs of the reference, without; undefined tensors if the objective needs none.
  std::function<objective::SequenceLogps(const PreferenceBatch&)> reference;
  double max_grad_norm = 1.0;  ///< 0: never clipped.
};

/// Sums over the comparisons of a step or an evaluation, each times its weight; divided once, at
/// the end, so that no metric is a mean of means.
struct Tally {
  double weight = 0;
  double loss = 0;
  double accuracy = 0;  ///< Of the comparisons whose winner has the strictly larger reward.
  double margin = 0;
  double chosen_reward = 0;
  double rejected_reward = 0;
  double chosen_logps = 0;
  double rejected_logps = 0;
  int64_t comparisons = 0;
  int64_t tokens = 0;

  /// The sums as means over the comparisons' weight.
  [[nodiscard]] Tally mean() const;
};

/// Adds a batch's figures to the tally. `policy` may carry gradients; they are not touched.
void add_to(Tally& tally,
            const PreferenceBatch& batch,
            const objective::SequenceLogps& policy,
            const objective::TermOutput& out);

/// What one step did.
struct StepReport {
  Tally mean;            ///< Before the update.
  double grad_norm = 0;  ///< Before clipping.
};

/// One step over micro-batches: gradients of sum_p w_p loss_p / sum_p w_p, where the sums run over
/// all of them, so that any cutting gives the same step; then clipping and the update.
/// @throws Error if a weight sum is 0, or if loss or gradient is not finite: the weights are then
/// as they were.
StepReport run_step(const StepParts& parts,
                    std::span<const PreferenceBatch> micro_batches,
                    double lr);

}  // namespace attune::train
