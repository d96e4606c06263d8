#include "attune/objective/bco.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_each;
using tests::numbers;
using tests::softplus;
using tests::three_pairs;

TermOutput run(const Batch& batch, const BcoOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Bco, WorkedByHand) {
  // r = 0.5 (1, -0.5), shift 0.25: -log sigmoid(0.25) - log sigmoid(0.5).
  const Batch batch({-10, -12}, {-11, -11.5}, {{0, 1}});
  const TermOutput out = run(batch, {.beta = 0.5, .shift = 0.25});
  EXPECT_NEAR(numbers(out.loss_I)[0], softplus(-0.25) + softplus(-0.5), 1e-15);
  expect_each(out.reward_S, {0.5, -0.25}, 1e-15);
}

TEST(Bco, EqualsTheNumbersOfAnotherProgram) {
  const Batch batch = three_pairs();
  const TermOutput out = run(batch, {.beta = 0.1});
  expect_each(out.loss_I, {1.312856, 1.488793, 1.242536}, 1e-6);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.04750, 1e-5);
}

TEST(Bco, AReversedLabelIsTheOtherPair) {
  const Batch batch({-10, -12}, {-11, -11.5}, {{0, 1, 0}, {1, 0, 1}, {0, 1, 0.25}, {0, 1}});
  const std::vector<double> losses = numbers(run(batch, {.shift = 0.3}).loss_I);
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_NEAR(losses[2], 0.75 * losses[0] + 0.25 * losses[3], 1e-15);
}

TEST(Bco, ItIsAnchoredNotADifference) {
  // Both completions up by the same: DPO sees nothing, a classifier does.
  const Batch low({-10, -12}, {-10, -12}, {{0, 1}});
  const Batch high({-4, -6}, {-10, -12}, {{0, 1}});
  EXPECT_GT(numbers(run(high, {.beta = 1}).loss_I)[0], numbers(run(low, {.beta = 1}).loss_I)[0]);
}

TEST(Bco, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(BcoOptions{.beta = 0}), HasSubstr("bco.beta must be > 0"));
  EXPECT_THAT(tests::refusal(BcoOptions{.shift = NAN}), HasSubstr("bco.shift"));
  EXPECT_THAT(tests::refusal(BcoOptions{.shift = 2e6}), HasSubstr("bco.shift"));
  EXPECT_THAT(tests::refusal(BcoOptions{.shift = -2e6}), HasSubstr("bco.shift"));
  EXPECT_EQ(tests::refusal(BcoOptions{.shift = -3}), "no error");
}
}  // namespace
}  // namespace attune::objective
