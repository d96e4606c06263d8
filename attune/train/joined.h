// Several micro-batches as one, for objectives that must see a whole step.
#pragma once

#include <vector>

#include "attune/objective/term.h"
#include "attune/train/batch.h"

namespace attune::train {

/// Collects batches with their log-probs into one input: sequences, tokens, groups and comparisons
/// one after the other, indices moved accordingly.
class Joined {
 public:
  void add(const PreferenceBatch& batch,
           const objective::SequenceLogps& policy,
           const objective::SequenceLogps& reference);
  /// Everything that was added; the policy's numbers are detached.
  [[nodiscard]] objective::TermInput input() const;

 private:
  std::vector<objective::SequenceLogps> policy_;
  std::vector<objective::SequenceLogps> reference_;
  std::vector<objective::Feedback> feedback_;
};

}  // namespace attune::train
