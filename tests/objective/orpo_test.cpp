#include "attune/objective/orpo.h"

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

TermOutput run(const Batch& batch, const OrpoOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Orpo, WorkedByHand) {
  // Mean probabilities 1/2 and 1/5: odds 1 and 1/4, z = log 4; loss = log 2 + 3 log(1 + 1/4).
  Batch batch({2 * std::log(0.5), 3 * std::log(0.2)}, {}, {{0, 1}});
  batch.in.policy.count_S = tests::f64({2, 3});
  const TermOutput out = run(batch, {.lambda = 3});
  EXPECT_NEAR(numbers(out.loss_I)[0], std::log(2.0) + 3 * std::log(1.25), 1e-14);
  expect_each(out.reward_S, {3 * std::log(0.5), 3 * std::log(0.2)}, 1e-14);
  out.loss_I.sum().backward();
  // d log odds / da = 1 / (1 - e^a): 2 and 5/4; sigmoid(-z) = 1/5.
  EXPECT_NEAR(batch.slope()[0], (-1 - 3 * 0.2 * 2) / 2, 1e-14);
  EXPECT_NEAR(batch.slope()[1], 3 * 0.2 * 1.25 / 3, 1e-14);
}

TEST(Orpo, EqualsTheNumbersOfAnotherProgram) {
  const Batch batch = three_pairs();
  const TermOutput out = run(batch, {.lambda = 0.1});
  expect_each(out.loss_I, {2.069315, 2.066167, 1.328716}, 1e-6);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.21157, 1e-5);
  EXPECT_NEAR(batch.slope()[3], 0.0096, 1e-4);  // the loser is hardly pushed: the NLL lifts
}

TEST(Orpo, LambdaWeighsTheOdds) {
  const Batch batch = three_pairs();
  expect_each((run(batch, {.lambda = 2}).loss_I - run(batch, {.lambda = 1}).loss_I),
              {0.693147, 0.661670, 0.787164},
              1e-6);
}

TEST(Orpo, CertainAndHopelessCompletionsKeepTheirDigits) {
  // As the odds are of 1 - e^a: near a = 0 by expm1, far below by log1p, at 0 cut off.
  Batch batch({-1e-5, -800, 0, -0.6931}, {}, {{0, 1}, {2, 3}, {1, 2}, {3, 0}});
  batch.in.policy.count_S = tests::f64({1, 1, 1, 1});
  const TermOutput out = run(batch, {.lambda = 1});
  const auto odds = [](double a) { return a - std::log(-std::expm1(std::min(a, -1e-6))); };
  const std::vector<double> losses = numbers(out.loss_I);
  EXPECT_NEAR(losses[0], 1e-5 + softplus(-800 - odds(-1e-5)), 1e-12);
  EXPECT_NEAR(losses[2], 800 + softplus(odds(-1e-6) + 800), 1e-9);
  EXPECT_NEAR(losses[3], 0.6931 + softplus(odds(-1e-5) - odds(-0.6931)), 1e-12);
  out.loss_I.sum().backward();
  for (const double slope : batch.slope()) {
    EXPECT_TRUE(std::isfinite(slope));
  }
}

TEST(Orpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(OrpoOptions{.lambda = 0}), HasSubstr("orpo.lambda must be > 0"));
  EXPECT_EQ(tests::refusal(OrpoOptions{.lambda = 1e-3}), "no error");
}
}  // namespace
}  // namespace attune::objective
