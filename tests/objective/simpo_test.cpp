#include "attune/objective/simpo.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_each;
using tests::numbers;
using tests::sigmoid;
using tests::softplus;
using tests::three_pairs;

TermOutput run(const Batch& batch, const SimpoOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Simpo, WorkedByHand) {
  // a = (-10 / 5, -12 / 4) = (-2, -3), z = 2 * 1 = 2, g = 2 * 0.25 = 0.5, loss = log(1 + e^-1.5).
  Batch batch({-10, -12}, {}, {{0, 1}});
  batch.in.policy.count_S = tests::f64({5, 4});
  const TermOutput out = run(batch, {.beta = 2, .gamma_ratio = 0.25});
  EXPECT_NEAR(numbers(out.loss_I)[0], std::log1p(std::exp(-1.5)), 1e-15);
  expect_each(out.reward_S, {-4, -6}, 1e-15);
  out.loss_I.sum().backward();
  // -beta / n sigmoid(-1.5), and the other way for the loser.
  EXPECT_NEAR(batch.slope()[0], -2.0 / 5 * sigmoid(-1.5), 1e-15);
  EXPECT_NEAR(batch.slope()[1], 2.0 / 4 * sigmoid(-1.5), 1e-15);
}

TEST(Simpo, EqualsTheNumbersOfAnotherProgram) {
  const Batch batch = three_pairs();
  const TermOutput out = run(batch, {.beta = 2, .gamma_ratio = 0.5});
  expect_each(out.loss_I, {1.313262, 1.233267, 1.501929}, 1e-6);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.29242, 1e-5);
}

TEST(Simpo, TheMarginIsAShareOfBeta) {
  const Batch batch = three_pairs();
  const double z = 0.5 * (-20.0 / 10 + 18.5 / 9);
  for (const double ratio : {0.0, 0.5, 1.0}) {
    EXPECT_NEAR(numbers(run(batch, {.beta = 0.5, .gamma_ratio = ratio}).loss_I)[1],
                softplus(0.5 * ratio - z),
                1e-14);
  }
}

TEST(Simpo, ATiePullsToNoMargin) {
  Batch batch({-5, -5}, {}, {{0, 1, 0.5}});
  batch.in.policy.count_S = tests::f64({5, 5});
  run(batch, {.beta = 2, .gamma_ratio = 0.5}).loss_I.sum().backward();
  expect_each(tests::f64(batch.slope()), {0, 0}, 1e-15);
}

TEST(Simpo, NeedsNoReference) {
  EXPECT_FALSE(SimpoOptions::kNeeds.reference);
}

TEST(Simpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(SimpoOptions{.beta = 0}), HasSubstr("simpo.beta must be > 0"));
  EXPECT_THAT(tests::refusal(SimpoOptions{.gamma_ratio = -0.1}),
              HasSubstr("simpo.gamma_ratio must be >= 0"));
  EXPECT_EQ(tests::refusal(SimpoOptions{.beta = 1e-3, .gamma_ratio = 0}), "no error");
}
}  // namespace
}  // namespace attune::objective
