// Batches of sequence log-probs in f64.
#pragma once

#include <vector>

#include "attune/objective/scores.h"

#include "tests/tensor/golden.h"

namespace attune::tests {

inline at::Tensor f64(const std::vector<double>& values) {
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
}

struct Pair {
  int64_t winner = 0;
  int64_t loser = 0;
  double probability = 1;
  double weight = 1;
};

/// Policy (with gradients), reference and comparisons.
struct Batch {
  Batch(const std::vector<double>& policy_S,
        const std::vector<double>& reference_S,
        const std::vector<Pair>& list)
      : policy{f64(policy_S).set_requires_grad(true), counts(policy_S.size())},
        reference{f64(reference_S), counts(reference_S.size())} {
    std::vector<double> winner, loser, probability, weight;
    for (const Pair& pair : list) {
      winner.push_back(static_cast<double>(pair.winner));
      loser.push_back(static_cast<double>(pair.loser));
      probability.push_back(pair.probability);
      weight.push_back(pair.weight);
    }
    pairs = {f64(winner).to(at::kLong), f64(loser).to(at::kLong), f64(probability), f64(weight)};
  }

  /// 2, 3, 5, 7, ... labels a sequence.
  static at::Tensor counts(size_t S) {
    const std::vector<double> primes{2, 3, 5, 7, 11, 13, 17, 19};
    std::vector<double> counts;
    for (size_t s = 0; s < S; ++s) {
      counts.push_back(primes[s % primes.size()]);
    }
    return f64(counts);
  }

  objective::SequenceLogps policy;
  objective::SequenceLogps reference;
  objective::Comparisons pairs;
};

}  // namespace attune::tests
