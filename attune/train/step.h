// One optimizer step: the heart of training.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "attune/objective/registry.h"
#include "attune/optim/adamw.h"
#include "attune/train/batch.h"

namespace attune::train {

/// The parts of a step, by name, so that a test can run it on a model of one number.
struct StepParts {
  const objective::Objective* objective = nullptr;
  optim::AdamW* optimizer = nullptr;
  /// Log-probs of the policy, with gradients where autograd is on. Asked twice for the same batch
  /// it must give the same numbers.
  std::function<objective::SequenceLogps(const PreferenceBatch&)> policy;
  /// Log-probs of the reference, without; undefined tensors if the objective needs none.
  std::function<objective::SequenceLogps(const PreferenceBatch&)> reference;
  objective::Objective::State* state = nullptr;  ///< Moves with the step; null: there is none.
  double max_grad_norm = 1.0;                    ///< 0: never clipped.
  /// Hears what the objective made of some of the step's batches, whose items follow each other;
  /// empty: nobody does. Every batch is heard of once.
  std::function<void(std::span<const PreferenceBatch>, const objective::ObjectiveOutput&)> hear =
      {};
};

/// Figures of a step or an evaluation. All but the loss are sums over its comparisons, or, where
/// none of its batches has one, its labelled completions, each times its weight; divided once, at
/// the end, so that no metric is a mean of means, nor depends on how a step is cut into batches.
/// Chosen is what won or was labelled desirable.
struct Tally {
  bool compared = false;  ///< Over comparisons: a batch had some.
  double weight = 0;
  double chosen_weight = 0;
  double rejected_weight = 0;
  double loss = 0;      ///< Of the objective; whole already.
  double accuracy = 0;  ///< Of the comparisons whose winner has the strictly larger reward; of the
                        ///< labels whose sign the reward has.
  double margin = 0;    ///< Mean chosen minus mean rejected reward; 0 until mean().
  double chosen_reward = 0;
  double rejected_reward = 0;
  double chosen_logps = 0;
  double rejected_logps = 0;
  int64_t comparisons = 0;  ///< Or labels, where nobody compared.
  int64_t tokens = 0;
  std::map<std::string, double> figures = {};  ///< What the terms say of themselves.

  /// The sums as means over their weights.
  [[nodiscard]] Tally mean() const;
};

/// Adds a batch's figures to the tally. The policy may carry gradients; they are not touched.
void add_to(Tally& tally, const objective::TermInput& in, const objective::ObjectiveOutput& out);

/// What one step did.
struct StepReport {
  Tally mean;            ///< Before the update.
  double grad_norm = 0;  ///< Before clipping.
};

/// One step over micro-batches: the gradient of the objective over all of them, so that any cutting
/// gives the same step; then clipping and the update.
///
/// Where a term couples its items, the log-probs of all micro-batches are computed first, without
/// gradients; the loss is taken of them as a whole, and its slope sent through the model batch by
/// batch: one more forward pass, and no more memory.
///
/// @throws Error if a weight sum is 0, or if loss or gradient is not finite: the weights are then
/// as they were.
StepReport run_step(const StepParts& parts,
                    std::span<const PreferenceBatch> micro_batches,
                    double lr);

}  // namespace attune::train
