#include "attune/objective/discopop.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_numbers;
using tests::logistic;
using tests::losses;
using tests::refusal;
using tests::rows;
using tests::sigmoid;
using tests::slopes;

TEST(Discopop, WorkedByHand) {
  // x = 0.15, m = sigmoid(3).
  const double m = sigmoid(3);
  const DiscopopOptions options{.beta = 0.1};
  EXPECT_NEAR(losses(options, rows())[0], (1 - m) * logistic(0.15) + m * std::exp(-0.15), 1e-14);
  expect_numbers(losses(options, rows()), {0.849338, 0.805752, 0.740357}, 1e-6);
  EXPECT_NEAR(slopes(options, rows())[0], -0.06252, 1e-5);
}

TEST(Discopop, AtNoMarginSlopesTheWrongWayAsPublished) {
  // m' = 1 / (4 tau) = 5: 5 (1 - log 2) - 1/4 - 1/2.
  const Batch batch({-3, -4}, {-3, -4}, {{0, 1}});
  EXPECT_NEAR(slopes(DiscopopOptions{.beta = 1}, batch)[0], 5 * (1 - std::log(2.0)) - 0.75, 1e-14);
}

TEST(Discopop, HasThePublishedValleyAndTop) {
  // Around x = -2.371 tau and x = 1.44 tau the slope changes its sign.
  const auto slope = [](double x) {
    return slopes(DiscopopOptions{.beta = 1}, Batch({x, 0}, {0, 0}, {{0, 1}}))[0];
  };
  EXPECT_LT(slope(-0.119), 0);
  EXPECT_GT(slope(-0.118), 0);
  EXPECT_GT(slope(0.0715), 0);
  EXPECT_LT(slope(0.0725), 0);
}

TEST(Discopop, TauIsTheWidthOfTheBlend) {
  // x = 0.15, tau = 0.3: m = sigmoid(0.5).
  const double m = sigmoid(0.5);
  EXPECT_NEAR(losses(DiscopopOptions{.beta = 0.1, .tau = 0.3}, rows())[0],
              (1 - m) * logistic(0.15) + m * std::exp(-0.15),
              1e-14);
}

TEST(Discopop, IsFiniteInF32WhereTheProductWouldNotBe) {
  for (const double tau : {0.05, 1.0}) {
    Batch batch({-2000, 0}, {0, 0}, {{0, 1}});
    batch.in.policy.sum_S = tests::f64({-2000, 0}).to(at::kFloat).set_requires_grad(true);
    const DiscopopOptions options{.beta = 1, .tau = tau};
    EXPECT_NEAR(losses(options, batch)[0], tau < 1 ? 2000 : 2001, 1e-3);
    EXPECT_NEAR(slopes(options, batch)[0], -1, 1e-6);
  }
}

TEST(Discopop, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(DiscopopOptions{.beta = 0}), HasSubstr("discopop.beta must be > 0"));
  EXPECT_THAT(refusal(DiscopopOptions{.tau = 0}), HasSubstr("discopop.tau must be > 0"));
  EXPECT_THAT(refusal(DiscopopOptions{.tau = 1.5}), HasSubstr("discopop.tau must be <= 1"));
}

}  // namespace
}  // namespace attune::objective
