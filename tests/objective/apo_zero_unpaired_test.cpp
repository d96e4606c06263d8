#include "attune/objective/apo_zero_unpaired.h"

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

TermOutput run(const Batch& batch, const ApoZeroUnpairedOptions& options) {
  return tests::run(options, batch.in);
}

TEST(ApoZeroUnpaired, WorkedByHand) {
  // h = 1 is desirable: 1 - sigmoid(0.5); h = -0.5 is not: sigmoid(-0.25); the third has no label.
  Batch batch({-10, -12, -7}, {-11, -11.5, -9}, {});
  tests::set_labels(batch, {1, -1, 0});
  const TermOutput out = run(batch, {.beta = 0.5});
  expect_each(out.loss_I, {1 - sigmoid(0.5), sigmoid(-0.25), 0}, 1e-15);
  expect_each(out.reward_S, {0.5, -0.25, 1}, 1e-15);
}

TEST(ApoZeroUnpaired, ItsTwoPartsAreThePairsLoss) {
  // The pair form of another program: 1 - sigmoid(beta h_w) + sigmoid(beta h_l).
  const std::vector<double> loss = numbers(run(tests::six_labels(), {.beta = 0.1}).loss_I);
  EXPECT_NEAR(loss[0] + loss[3], 0.962523, 1e-6);
  EXPECT_NEAR(loss[1] + loss[4], 1.049958, 1e-6);
  EXPECT_NEAR(loss[2] + loss[5], 0.925187, 1e-6);
}

TEST(ApoZeroUnpaired, EachSideHasItsWeight) {
  const Batch batch = tests::six_labels();
  const std::vector<double> one = numbers(run(batch, {}).loss_I);
  expect_each(run(batch, {.weights = {.desirable = 3, .undesirable = 0.5}}).loss_I,
              {3 * one[0], 3 * one[1], 3 * one[2], one[3] / 2, one[4] / 2, one[5] / 2},
              1e-15);
}

TEST(ApoZeroUnpaired, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(ApoZeroUnpairedOptions{.beta = 0}),
              HasSubstr("apo_zero_unpaired.beta must be > 0"));
  EXPECT_THAT(tests::refusal(ApoZeroUnpairedOptions{.weights = {.desirable = -1}}),
              HasSubstr("apo_zero_unpaired.desirable_weight must be >= 0"));
  EXPECT_THAT(tests::refusal(ApoZeroUnpairedOptions{.weights = {.undesirable = -1}}),
              HasSubstr("apo_zero_unpaired.undesirable_weight must be >= 0"));
  EXPECT_EQ(tests::refusal(ApoZeroUnpairedOptions{.weights = {.undesirable = 0}}), "no error");
  EXPECT_THAT(
      tests::refusal(ApoZeroUnpairedOptions{.weights = {.desirable = 0, .undesirable = 0}}),
      HasSubstr("apo_zero_unpaired.desirable_weight and apo_zero_unpaired.undesirable_weight are "
                "both 0"));
}

}  // namespace
}  // namespace attune::objective
