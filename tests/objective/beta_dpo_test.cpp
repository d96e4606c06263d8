#include "attune/objective/beta_dpo.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/objective/dpo.h"

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_numbers;
using tests::logistic;
using tests::losses;
using tests::numbers;
using tests::refusal;
using tests::rows;
using tests::sigmoid;

TermOutput step(const BetaDpoOptions& options,
                Batch& batch,
                TermState& state,
                bool training = true) {
  batch.in.state = &state;
  batch.in.training = training;
  return tests::run(options, batch.in);
}

TEST(BetaDpo, WorkedByHand) {
  // M = 1, S = 2, D = (1.5, -2, 3), nothing filtered: mean 2.5 / 3, b = 0.1 (1 + 0.6 (2.5 / 3 -
  // 1)).
  TermState state{{"mean", 1}, {"deviation", 2}};
  Batch batch = rows();
  const TermOutput out = step({.filter = 0}, batch, state);
  expect_numbers(numbers(out.loss_I), {logistic(0.135), logistic(-0.18), logistic(0.27)});
  EXPECT_NEAR(out.figures.at("beta"), 0.09, 1e-14);
  EXPECT_NEAR(numbers(out.reward_S)[0], 0.09, 1e-14);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.09 * sigmoid(-0.135), 1e-14);  // b is held fixed
  // The mean of squares is 15.25 / 3, that of D 2.5 / 3.
  EXPECT_NEAR(state.at("mean"), 0.9 + 0.1 * 2.5 / 3, 1e-14);
  EXPECT_NEAR(state.at("deviation"), 1.8 + 0.1 * std::sqrt(15.25 / 3 - 2.5 * 2.5 / 9), 1e-14);
}

TEST(BetaDpo, KeepsTheWantedShareOfTheLikelyPairs) {
  // S = 1, M = 0: margins (0, 0, 10) have g = (1, 1, e^-50); two of three are kept: the first two.
  TermState state{{"mean", 0}, {"deviation", 1}};
  Batch batch({-1, -2, 9, -1, -2, -1}, {-1, -2, -1, -1, -2, -1}, {{0, 3}, {1, 4}, {2, 5}});
  const TermOutput out = step({.alpha = 0, .filter = 1.0 / 3}, batch, state);
  expect_numbers(numbers(out.loss_I), {1.5 * std::log(2.0), 1.5 * std::log(2.0), 0});
}

TEST(BetaDpo, APairCountsWithTheChanceOfBeingDrawn) {
  // M = 0, S = 1: g = (e^-0.5, e^-2, 1) of margins (1, -2, 0). A third is kept: c sum of g = 1, and
  // none passes 1.
  TermState state{{"mean", 0}, {"deviation", 1}};
  Batch batch({1, 0, 5, 0, 2, 5}, {0, 0, 5, 0, 0, 5}, {{0, 3}, {1, 4}, {2, 5}});
  const TermOutput out = step({.beta = 1, .alpha = 0, .filter = 2.0 / 3}, batch, state);
  const double c = 1 / (std::exp(-0.5) + std::exp(-2) + 1);
  expect_numbers(numbers(out.loss_I),
                 {3 * c * std::exp(-0.5) * logistic(1),
                  3 * c * std::exp(-2) * logistic(-2),
                  3 * c * std::log(2.0)});
}

TEST(BetaDpo, TheFirstStepHasItsOwnMoments) {
  TermState state;
  Batch batch = rows();
  step({}, batch, state);
  EXPECT_NEAR(state.at("mean"), 2.5 / 3, 1e-14);
  EXPECT_NEAR(state.at("deviation"), std::sqrt(15.25 / 3 - 2.5 * 2.5 / 9), 1e-14);
  Batch other = rows({0, 0, 0});  // margins (-1.5, 2, -3)
  step({.momentum = 0.5}, other, state);
  EXPECT_NEAR(state.at("mean"), 0, 1e-14);
}

TEST(BetaDpo, StateMovesInTrainingOnly) {
  TermState state{{"mean", 1}, {"deviation", 2}};
  const TermState before = state;
  Batch batch = rows();
  step({}, batch, state, /*training=*/false);
  EXPECT_EQ(state, before);
  step({}, batch, state);
  EXPECT_NE(state, before);
}

TEST(BetaDpo, WithoutAlphaAndFilterIsDpo) {
  expect_numbers(losses(BetaDpoOptions{.alpha = 0, .filter = 0}, rows({1, 0.7, 0})),
                 losses(DpoOptions{}, rows({1, 0.7, 0})));
}

TEST(BetaDpo, NeverFallsBelowItsSmallestBeta) {
  TermState state{{"mean", 1000}, {"deviation", 1000}};
  Batch batch = rows();
  EXPECT_EQ(step({}, batch, state).figures.at("beta"), 1e-3);
}

TEST(BetaDpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(BetaDpoOptions{.beta = 1e-4}), HasSubstr("beta_dpo.beta must be >= 0.001"));
  EXPECT_THAT(refusal(BetaDpoOptions{.alpha = -1}), HasSubstr("beta_dpo.alpha must be >= 0"));
  EXPECT_THAT(refusal(BetaDpoOptions{.filter = 1}), HasSubstr("beta_dpo.filter must be < 1"));
  EXPECT_THAT(refusal(BetaDpoOptions{.filter = -0.1}), HasSubstr("beta_dpo.filter must be >= 0"));
  EXPECT_THAT(refusal(BetaDpoOptions{.momentum = 1}), HasSubstr("beta_dpo.momentum must be < 1"));
  EXPECT_THAT(refusal(BetaDpoOptions{.momentum = -1}), HasSubstr("beta_dpo.momentum must be >= 0"));
}

}  // namespace
}  // namespace attune::objective
