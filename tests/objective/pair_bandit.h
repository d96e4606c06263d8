// A bandit of five arms with known rewards, and a policy trained on it in exact expectation.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

#include "tests/objective/rows.h"

namespace attune::tests::pair_bandit {

inline constexpr int kArms = 5;
inline const std::vector<double> kReward{0.7, -1.1, 0.2, 1.3, -0.4};
inline const std::vector<double> kArmReference{-1.2, -2.3, -0.9, -2.9, -1.75};  // not normalised

/// log of the normalised exponentials.
inline std::vector<double> normalised(std::vector<double> logits) {
  double total = 0;
  for (const double x : logits) {
    total += std::exp(x);
  }
  for (double& x : logits) {
    x -= std::log(total);
  }
  return logits;
}

/// The Bradley-Terry probability that arm i is preferred to arm j.
inline double preferred(int64_t i, int64_t j) {
  return sigmoid(kReward[static_cast<size_t>(i)] - kReward[static_cast<size_t>(j)]);
}

/// Every ordered pair of arms with the probability that its first is preferred: either as a soft
/// label, or as the weight of a hard one, of which a share `flipped` is the wrong way round.
inline std::vector<Pair> all_pairs(bool soft, double flipped = 0) {
  std::vector<Pair> pairs;
  for (int64_t i = 0; i < kArms; ++i) {
    for (int64_t j = 0; j < kArms; ++j) {
      if (i != j) {
        const double p = preferred(i, j) * (1 - flipped) + preferred(j, i) * flipped;
        pairs.push_back(soft ? Pair{i, j, p, 1} : Pair{i, j, 1, p});
      }
    }
  }
  return pairs;
}

/// How a policy is trained.
struct Training {
  at::ScalarType dtype = at::kDouble;
  int steps = 2500;
  bool normalise = true;  ///< Else the log-probs are free numbers.
  std::function<void(objective::TermInput&)> more = [](objective::TermInput&) {};
};

/// Every number of `in` but indices, in `dtype`.
inline void to_dtype(objective::TermInput& in, at::ScalarType dtype) {
  for (at::Tensor* tensor : {&in.policy.count_S,
                             &in.reference.sum_S,
                             &in.reference.count_S,
                             &in.feedback.pairs.probability_P,
                             &in.feedback.pairs.weight_P,
                             &in.feedback.score_S}) {
    if (tensor->defined()) {
      *tensor = tensor->to(dtype);
    }
  }
  for (auto& [column, values] : in.feedback.values) {
    values = values.to(dtype);
  }
}

/// One thread while it lives: five numbers are not worth waking a second one for.
class OneThread {
 public:
  OneThread() {
    at::set_num_threads(1);
  }
  ~OneThread() {
    at::set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = at::get_num_threads();
};

/// Log-probs after Adam on the policy's logits, with a falling rate.
template <class Options>
std::vector<double> trained(const std::vector<Pair>& pairs,
                            const Options& options,
                            const Training& training = {}) {
  const OneThread one_thread;
  std::vector<double> logits(kArms, 0), m(kArms, 0), v(kArms, 0);
  Batch batch(logits, normalised(kArmReference), pairs);
  training.more(batch.in);
  to_dtype(batch.in, training.dtype);
  const objective::Term term =
      objective::make_term({.kind = std::string(options.kKind), .options = options});
  for (int t = 1; t <= training.steps; ++t) {
    at::Tensor theta = f64(logits).to(training.dtype).set_requires_grad(true);
    batch.in.policy.sum_S = training.normalise ? at::log_softmax(theta, 0) : theta;
    const objective::TermOutput out = term.run(batch.in);
    (out.loss_I * batch.in.feedback.pairs.weight_P).sum().backward();
    const std::vector<double> g = numbers(theta.grad());
    const double rate = 0.05 * std::pow(1 - static_cast<double>(t) / (training.steps + 1), 2);
    for (size_t i = 0; i < kArms; ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      logits[i] -= rate * (m[i] / (1 - std::pow(0.9, t))) /
                   (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-12);
    }
  }
  return training.normalise ? normalised(logits) : logits;
}

/// log ref + more - log Z.
inline std::vector<double> tilted(const std::vector<double>& more) {
  std::vector<double> logits = normalised(kArmReference);
  for (size_t i = 0; i < kArms; ++i) {
    logits[i] += more[i];
  }
  return normalised(logits);
}

/// log pi* = log ref + r / beta - log Z (Rafailov et al. 2023, eq. 4), with rewards `reward`.
inline std::vector<double> optimum(double beta, std::vector<double> reward = kReward) {
  for (double& r : reward) {
    r /= beta;
  }
  return tilted(reward);
}

}  // namespace attune::tests::pair_bandit
