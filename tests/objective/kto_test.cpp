#include "attune/objective/kto.h"

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

TermOutput run(const Batch& batch, const KtoOptions& options) {
  return tests::run(options, batch.in);
}

// The six labels and two strangers under prompts 0 and 1, whose log-ratios are given.
Batch with_strangers(double first, double second) {
  Batch batch({-10, -20, -5, -12, -18.5, -9, -30 + first, -40 + second},
              {-11, -19, -7, -11.5, -19.5, -8, -30, -40},
              {});
  tests::set_labels(batch, {1, 1, 1, -1, -1, -1, 0, 0}, {1, 1, 1, 1, 1, 1, 0, 0});
  batch.in.feedback.group_S = tests::i64({0, 1, 2, 0, 1, 2, 0, 1});
  batch.in.feedback.mismatched_S = tests::f64({0, 0, 0, 0, 0, 0, 1, 1}).to(at::kBool);
  return batch;
}

TEST(Kto, WorkedByHand) {
  // kl = (0.1 + 0.3) / 2 = 0.2; h = 1 is desirable: 1 - sigmoid(0.5 (1 - 0.2)); h = -0.5 is not:
  // 1 - sigmoid(0.5 (0.2 + 0.5)).
  const Batch batch = with_strangers(0.1, 0.3);
  const TermOutput out = run(batch, {.beta = 0.5});
  EXPECT_NEAR(numbers(out.loss_I)[0], 1 - sigmoid(0.4), 1e-12);
  EXPECT_NEAR(numbers(out.loss_I)[3], 1 - sigmoid(0.35), 1e-12);
  EXPECT_NEAR(out.figures.at("kl"), 0.2, 1e-13);
  EXPECT_NEAR(numbers(out.reward_S)[3], -0.25, 1e-15);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.5 * sigmoid(0.4) * sigmoid(-0.4), 1e-12);
  EXPECT_NEAR(batch.slope()[3], 0.5 * sigmoid(0.35) * sigmoid(-0.35), 1e-12);
}

TEST(Kto, EqualsTheNumbersOfAnotherProgram) {
  const Batch batch = with_strangers(0.1, 0.3);
  const TermOutput out = run(batch, {.beta = 0.1});
  expect_each(out.loss_I, {0.480011, 0.529964, 0.455121, 0.482507, 0.519989, 0.470036, 0, 0}, 1e-6);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.02496, 1e-5);
  EXPECT_NEAR(batch.slope()[3], 0.02497, 1e-5);
}

TEST(Kto, TheEstimateIsHeldFixedAndNeverBelowZero) {
  const Batch batch = with_strangers(0.1, 0.3);
  run(batch, {}).loss_I.sum().backward();
  EXPECT_EQ(batch.slope()[6], 0);
  EXPECT_EQ(batch.slope()[7], 0);
  EXPECT_EQ(run(with_strangers(0.1, -0.5), {}).figures.at("kl"), 0);
  EXPECT_NEAR(run(with_strangers(1.1, -0.5), {}).figures.at("kl"), 0.3, 1e-13);
}

TEST(Kto, AStrangerWeighsWhatItsPromptsLabelsWeigh) {
  Batch batch = with_strangers(0.1, 0.3);
  batch.in.feedback.label_weight_S = tests::f64({2, 1, 1, 4, 0, 1, 0, 0});
  // Prompt 0 weighs 6, prompt 1 weighs 1.
  EXPECT_NEAR(run(batch, {}).figures.at("kl"), (6 * 0.1 + 1 * 0.3) / 7, 1e-13);
}

TEST(Kto, WithoutStrangersTheAnchorIsZero) {
  Batch batch = tests::six_labels();
  batch.in.feedback.group_S = tests::i64({0, 1, 2, 0, 1, 2});
  batch.in.feedback.mismatched_S = tests::f64({0, 0, 0, 0, 0, 0}).to(at::kBool);
  const std::vector<double> apo = numbers(tests::run(ApoZeroUnpairedOptions{}, batch.in).loss_I);
  expect_each(run(batch, {}).loss_I, apo, 1e-15);
}

TEST(Kto, WhatIsHopelessOrCertainHardlyCounts) {
  Batch batch({-1000, -10, -5}, {-10, -1000, -5}, {});
  tests::set_labels(batch, {1, 1, 1});
  batch.in.feedback.group_S = tests::i64({0, 1, 2});
  batch.in.feedback.mismatched_S = tests::f64({0, 0, 0}).to(at::kBool);
  const TermOutput out = run(batch, {});
  expect_each(out.loss_I, {1, 0, 0.5}, 1e-15);
  out.loss_I.sum().backward();
  expect_each(tests::f64(batch.slope()), {0, 0, -0.1 / 4}, 1e-15);
}

TEST(Kto, EachSideHasItsWeight) {
  const Batch batch = with_strangers(0.1, 0.3);
  const std::vector<double> one = numbers(run(batch, {}).loss_I);
  expect_each(run(batch, {.weights = {.desirable = 3, .undesirable = 0.5}}).loss_I,
              {3 * one[0], 3 * one[1], 3 * one[2], one[3] / 2, one[4] / 2, one[5] / 2, 0, 0},
              1e-15);
}

TEST(Kto, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(KtoOptions{.beta = 0}), HasSubstr("kto.beta must be > 0"));
  EXPECT_THAT(tests::refusal(KtoOptions{.weights = {.desirable = -1}}),
              HasSubstr("kto.desirable_weight must be >= 0"));
  EXPECT_THAT(tests::refusal(KtoOptions{.weights = {.undesirable = -1}}),
              HasSubstr("kto.undesirable_weight must be >= 0"));
  EXPECT_EQ(tests::refusal(KtoOptions{.weights = {.desirable = 0}}), "no error");
  EXPECT_THAT(tests::refusal(KtoOptions{.weights = {.desirable = 0, .undesirable = 0}}),
              HasSubstr("kto.desirable_weight and kto.undesirable_weight are both 0"));
}

}  // namespace
}  // namespace attune::objective
