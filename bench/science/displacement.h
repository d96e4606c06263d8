// Likelihood displacement: the winner's probability falls although the margin grows.
#pragma once

#include <cstdint>
#include <string>

#include "bench/science/preference_lab.h"

namespace attune::science {

/// What became of one pair.
struct Displacement {
  double winner_change = 0;  ///< log pi(y_w) / pi_ref(y_w), nats.
  double margin = 0;         ///< The same, minus the loser's.
};

/// Trains one hidden vector h on one pair of single tokens whose output embeddings are nearly
/// parallel:
///
///   log pi(v) = log softmax(E h)[v],  E [V D] drawn at random and fixed, V = 50, D = 32
///   E[y_l] = closeness E[y_w] + sqrt(1 - closeness^2) noise
///
/// Moving along E[y_w] - E[y_l] raises other tokens more than y_w. Paper: Razin et al. 2024,
/// arXiv:2410.08847, section 4.
Displacement displace(Method method, uint64_t seed, int steps = 150, double closeness = 0.95);

}  // namespace attune::science
