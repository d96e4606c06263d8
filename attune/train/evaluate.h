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

/// Scores `groups` without dropout and without gradients, `max_tokens` packed tokens at once.
/// @throws Stopped if a stop was asked for.
Evaluation evaluate(const model::Decoder& model,
                    Reference& reference,
                    const objective::Objective& objective,
                    const data::TokenCache& cache,
                    std::span<const int64_t> groups,
                    int64_t max_tokens,
                    Watcher& watcher);

/// The groups as micro-batches of at most `max_tokens` packed tokens.
std::vector<PreferenceBatch> batches_of(const data::TokenCache& cache,
                                        std::span<const int64_t> groups,
                                        int64_t max_tokens);

}  // namespace attune::train
