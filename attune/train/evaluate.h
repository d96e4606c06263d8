#pragma once

#include <functional>
#include <span>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/objective/registry.h"
#include "attune/train/batch.h"
#include "attune/train/reference.h"
#include "attune/train/step.h"

namespace attune::train {

/// The figures of one comparison, and of its two completions.
struct PairFigures {
  int64_t group = 0;  ///< Index in the data set.
  double chosen_reward = 0;
  double rejected_reward = 0;
  double weight = 1;
  [[nodiscard]] double margin() const {
    return chosen_reward - rejected_reward;
  }
};

/// What a model makes of a set of comparisons.
struct Evaluation {
  Tally mean;
  std::vector<PairFigures> pairs;
};

/// Scores `groups` without dropout and without gradients, `max_tokens` packed tokens at once. The
/// loss is divided by the weights of all; a term that couples its items sees 256 groups at once,
/// whatever `max_tokens` is.
/// @param state  Of the objective's terms, which it reads and leaves alone.
/// @throws Stopped if a stop was asked for.
Evaluation evaluate(const model::Decoder& model,
                    Reference& reference,
                    const objective::Objective& objective,
                    const data::TokenCache& cache,
                    std::span<const int64_t> groups,
                    int64_t max_tokens,
                    Watcher& watcher,
                    objective::Objective::State* state = nullptr);

/// What the policy is scored with: what the objective needs, and, if it needs that, the
/// reference's distributions.
ScoreOptions score_options(const objective::Objective& objective,
                           Reference& reference,
                           const PreferenceBatch& batch);

/// The groups as one batch, whatever its size.
PreferenceBatch batch_of(const data::TokenCache& cache, std::span<const int64_t> groups);

/// The groups of one step as micro-batches of `max_tokens` packed tokens at most, or of one group.
std::vector<PreferenceBatch> batches_of(const data::TokenCache& cache,
                                        std::span<const int64_t> groups,
                                        const objective::Objective& objective,
                                        int64_t max_tokens);

}  // namespace attune::train
