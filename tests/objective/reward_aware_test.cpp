#include "attune/objective/reward_aware.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/objective/dpo.h"

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_numbers;
using tests::losses;
using tests::refusal;
using tests::rows;
using tests::sigmoid;
using tests::slopes;

// Gaps of the scores 2, -1 and 0.5.
Batch scored(const std::vector<double>& probability = {1, 1, 1}) {
  Batch batch = rows(probability);
  batch.in.feedback.score_S = tests::f64({5, 2, 1.5, 3, 3, 1});
  return batch;
}

TEST(RewardAware, WorkedByHand) {
  // g = 2, z = 0.15: KL of two coins.
  const double g = sigmoid(2), q = sigmoid(0.15);
  EXPECT_NEAR(losses(RewardAwareOptions{}, scored())[0],
              g * std::log(g / q) + (1 - g) * std::log((1 - g) / (1 - q)),
              1e-14);
  EXPECT_NEAR(slopes(RewardAwareOptions{}, scored())[0], 0.1 * (q - g), 1e-14);
}

TEST(RewardAware, TheDistanceMayBeTheSquare) {
  // z - g = (0.15 - 1, -0.2 + 0.5, 0.3 - 0.25).
  expect_numbers(losses(RewardAwareOptions{.eta = 0.5, .form = "squared"}, scored()),
                 {0.85 * 0.85, 0.09, 0.0025});
}

TEST(RewardAware, IsDpoWithASoftLabelLessItsEntropy) {
  const double g = sigmoid(3 * 2.0);
  const double entropy = -g * std::log(g) - (1 - g) * std::log(1 - g);
  EXPECT_NEAR(losses(RewardAwareOptions{.eta = 3}, scored())[0],
              losses(DpoOptions{}, rows({g, 1, 1}))[0] - entropy,
              1e-14);
}

TEST(RewardAware, IsNothingWhereTheMarginIsTheGap) {
  // beta D = 0.5 * (1.5, -2, 3) and eta = 0.375, 1, 3.
  for (const char* const form : {"kl_bwd", "squared"}) {
    EXPECT_NEAR(
        losses(RewardAwareOptions{.beta = 0.5, .eta = 0.375, .form = form}, scored())[0], 0, 1e-15);
    EXPECT_NEAR(
        losses(RewardAwareOptions{.beta = 0.5, .eta = 3, .form = form}, scored())[2], 0, 1e-15);
  }
}

TEST(RewardAware, ReadsTheScoresAndNotTheLabels) {
  expect_numbers(losses(RewardAwareOptions{}, scored({0, 0.5, 0.2})),
                 losses(RewardAwareOptions{}, scored()));
}

TEST(RewardAware, RefusesOptionsOutOfBoundsAndComparisonsWithoutScores) {
  EXPECT_THAT(refusal(RewardAwareOptions{.beta = 0}, scored()),
              HasSubstr("reward_aware.beta must be > 0"));
  EXPECT_THAT(refusal(RewardAwareOptions{.eta = 0}, scored()),
              HasSubstr("reward_aware.eta must be > 0"));
  EXPECT_THAT(refusal(RewardAwareOptions{.form = "kl_fwd"}, scored()),
              HasSubstr("reward_aware.form"));
  Batch batch = scored();
  batch.in.feedback.score_S = tests::f64({tests::kNone, 2, 1.5, 3, 3, tests::kNone});
  EXPECT_THAT(refusal(RewardAwareOptions{}, batch), HasSubstr("reward_aware: 2 of 3 comparisons"));
}

}  // namespace
}  // namespace attune::objective
