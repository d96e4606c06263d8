// The meaning of a loss: trained to the end on a bandit with known rewards, in exact expectation,
// the policy must be the closed-form optimum.
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

#include "attune/objective/dpo.h"

#include "tests/objective/support.h"

namespace attune::objective {
namespace {

constexpr int kArms = 5;
const std::vector<double> kReward{0.7, -1.1, 0.2, 1.3, -0.4};
const std::vector<double> kReference{-1.2, -2.3, -0.9, -2.9, -1.75};  // unnormalised logits

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// log of the normalised exponentials.
std::vector<double> normalised(std::vector<double> logits) {
  double total = 0;
  for (const double x : logits) {
    total += std::exp(x);
  }
  for (double& x : logits) {
    x -= std::log(total);
  }
  return logits;
}

// Every ordered pair of arms with the Bradley-Terry probability that its first is preferred:
// either as a soft label, or as the weight of a hard one.
std::vector<tests::Pair> all_pairs(bool soft) {
  std::vector<tests::Pair> pairs;
  for (int64_t i = 0; i < kArms; ++i) {
    for (int64_t j = 0; j < kArms; ++j) {
      if (i != j) {
        const double p = sigmoid(kReward[i] - kReward[j]);
        pairs.push_back(soft ? tests::Pair{i, j, p, 1} : tests::Pair{i, j, 1, p});
      }
    }
  }
  return pairs;
}

// Adam on the policy's logits, 2,500 steps with a falling rate.
std::vector<double> trained(const std::vector<tests::Pair>& pairs, const DpoOptions& options) {
  std::vector<double> logits(kArms, 0), m(kArms, 0), v(kArms, 0);
  constexpr int kSteps = 2500;
  for (int t = 1; t <= kSteps; ++t) {
    at::Tensor theta = tests::f64(logits).set_requires_grad(true);
    tests::Batch batch(logits, normalised(kReference), pairs);
    batch.policy.sum_S = at::log_softmax(theta, 0);
    const TermOutput out = dpo(batch.policy, batch.reference, batch.pairs, options);
    (out.loss_P * batch.pairs.weight_P).sum().backward();
    const std::vector<double> g = tests::numbers(theta.grad());
    const double rate = 0.05 * std::pow(1 - static_cast<double>(t) / (kSteps + 1), 2);
    for (int i = 0; i < kArms; ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      logits[i] -= rate * (m[i] / (1 - std::pow(0.9, t))) /
                   (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-12);
    }
  }
  return normalised(logits);
}

void expect_optimum(const std::vector<double>& log_policy, double beta) {
  // log pi* = log ref + r / beta - log Z (Rafailov et al. 2023, eq. 4).
  std::vector<double> want = normalised(kReference);
  for (int i = 0; i < kArms; ++i) {
    want[i] += kReward[i] / beta;
  }
  want = normalised(want);
  for (int i = 0; i < kArms; ++i) {
    EXPECT_NEAR(log_policy[i], want[i], 1e-4) << "arm " << i;
  }
}

TEST(FixedPoint, DpoReachesTheClosedFormOptimum) {
  for (const double beta : {0.5, 1.0}) {
    SCOPED_TRACE(beta);
    expect_optimum(trained(all_pairs(/*soft=*/false), {.beta = beta}), beta);
    expect_optimum(trained(all_pairs(/*soft=*/true), {.beta = beta}), beta);
  }
}

TEST(FixedPoint, LabelSmoothingStopsWhereTheLabelsAreThatUnsure) {
  // One pair, label certain, e = 0.1: sigmoid(z) = 0.9, so h_w - h_l = log(9) / beta.
  const std::vector<double> log_policy =
      trained({{0, 1, 1, 1}}, {.beta = 2, .label_smoothing = 0.1});
  const std::vector<double> reference = normalised(kReference);
  const double margin = (log_policy[0] - reference[0]) - (log_policy[1] - reference[1]);
  EXPECT_NEAR(margin, std::log(9.0) / 2, 1e-4);
}

}  // namespace
}  // namespace attune::objective
