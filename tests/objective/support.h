// Batches of made-up log-probs in f64, with everything that a term may ask for.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "attune/objective/registry.h"

#include "tests/tensor/golden.h"

namespace attune::tests {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

inline at::Tensor f64(const std::vector<double>& values) {
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
}

inline at::Tensor i64(const std::vector<double>& values) {
  return f64(values).to(at::kLong);
}

struct Pair {
  int64_t winner = 0;
  int64_t loser = 0;
  double probability = 1;
  double weight = 1;
};

inline objective::Comparisons comparisons(const std::vector<Pair>& list) {
  std::vector<double> winner, loser, probability, weight;
  for (const Pair& pair : list) {
    winner.push_back(static_cast<double>(pair.winner));
    loser.push_back(static_cast<double>(pair.loser));
    probability.push_back(pair.probability);
    weight.push_back(pair.weight);
  }
  return {i64(winner), i64(loser), f64(probability), f64(weight)};
}

/// What a term reads, in plain numbers. The policy's sums carry gradients; what is left empty is
/// what a batch of pairs alone would have.
struct Batch {
  Batch(const std::vector<double>& policy_S,
        const std::vector<double>& reference_S,
        const std::vector<Pair>& pairs)
      : in{.policy = {f64(policy_S).set_requires_grad(true), counts(policy_S.size())},
           .reference = {f64(reference_S), counts(reference_S.size())},
           .feedback = {.pairs = comparisons(pairs)}} {}

  /// 2, 3, 5, 7, ... labels a sequence.
  static at::Tensor counts(size_t S) {
    const std::vector<double> primes{2, 3, 5, 7, 11, 13, 17, 19};
    std::vector<double> counts;
    for (size_t s = 0; s < S; ++s) {
      counts.push_back(primes[s % primes.size()]);
    }
    return f64(counts);
  }

  [[nodiscard]] std::vector<double> slope() const {
    const at::Tensor& grad = in.policy.sum_S.grad();
    return grad.defined() ? numbers(grad)
                          : std::vector<double>(static_cast<size_t>(in.policy.sum_S.size(0)), 0);
  }

  objective::TermInput in;
};

/// A whole step of two prompts with three and two completions, and for each prompt a stranger.
/// Every kind of feedback is there. `policy_S` and `reference_S` have seven numbers.
inline Batch scene(const std::vector<double>& policy_S,
                   const std::vector<double>& reference_S,
                   const std::vector<Pair>& pairs) {
  Batch batch(policy_S, reference_S, pairs);
  objective::TermInput& in = batch.in;
  std::vector<double> sequence, token, reference_token, concentration;
  const std::vector<double> count = numbers(in.policy.count_S);
  for (size_t s = 0; s < count.size(); ++s) {
    for (int t = 0; t < static_cast<int>(count[s]); ++t) {
      // The tokens of a sequence add up to its sum, and differ.
      const double tilt = 0.05 * (t - (count[s] - 1) / 2) * (s % 2 == 0 ? 1 : -1);
      sequence.push_back(static_cast<double>(s));
      token.push_back(policy_S[s] / count[s] + tilt);
      reference_token.push_back(reference_S[s] / count[s] - tilt / 3);
      concentration.push_back(-0.5 - 0.03 * t);
    }
  }
  in.policy.token_C = f64(token).set_requires_grad(true);
  in.policy.concentration_C = f64(concentration);
  in.policy.divergence_S = f64({0.3, 0.1, 0.7, 0.2, 0.9, 0.4, 0.6}).set_requires_grad(true);
  in.reference.token_C = f64(reference_token);
  in.feedback.label_S = f64({1, -1, 1, -1, 0, 0, 0});
  in.feedback.label_weight_S = f64({1, 1, 0.5, 2, 0, 0, 0});
  in.feedback.rank_S = i64({2, 0, 1, 1, 0, -1, -1});
  in.feedback.group_S = i64({0, 0, 0, 1, 1, 0, 1});
  in.feedback.group_weight_G = f64({1, 0.5});
  in.feedback.score_S = f64({0.9, 0.1, 0.6, 0.2, 0.7, kNone, kNone});
  in.feedback.mismatched_S = f64({0, 0, 0, 0, 0, 1, 1}).to(at::kBool);
  in.feedback.sequence_C = i64(sequence);
  return batch;
}

/// The registered term of these options, its options checked and its input too.
template <class Options>
objective::TermOutput run(const Options& options, const objective::TermInput& in) {
  return objective::make_term({.kind = std::string(options.kKind), .options = options}).run(in);
}

}  // namespace attune::tests
