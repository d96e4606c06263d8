#include "attune/objective/dr_dpo.h"

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

TEST(DrDpo, WorkedByHand) {
  // exp(-f) is sigmoid(z), so at t = 1 the loss is -log of the mean of sigmoid(0.15, -0.2, 0.3).
  const double mean = (sigmoid(0.15) + sigmoid(-0.2) + sigmoid(0.3)) / 3;
  const double loss = -std::log(mean);
  expect_numbers(losses(DrDpoOptions{}, rows()), {loss, loss, loss});
  // Of three items that all are this number: d/dz = -sigmoid'(z) / mean.
  const double slope = -0.1 * sigmoid(0.15) * sigmoid(-0.15) / mean;
  EXPECT_NEAR(slopes(DrDpoOptions{}, rows())[0], slope, 1e-14);
}

TEST(DrDpo, WeightsAreSharesOfTheMean) {
  Batch batch = rows();
  batch.in.feedback.pairs.weight_P = tests::f64({3, 1, 0});
  EXPECT_NEAR(
      losses(DrDpoOptions{}, batch)[0], -std::log((3 * sigmoid(0.15) + sigmoid(-0.2)) / 4), 1e-14);
}

TEST(DrDpo, WithALargeTemperatureIsTheMeanOfDpo) {
  const std::vector<double> dpo = losses(DpoOptions{}, rows({1, 0.6, 1}));
  EXPECT_NEAR(losses(DrDpoOptions{.temperature = 1e7}, rows({1, 0.6, 1}))[0],
              (dpo[0] + dpo[1] + dpo[2]) / 3,
              1e-8);
}

TEST(DrDpo, DistrustsWhatThePolicyFindsImplausible) {
  // The slopes of the second pair, which is wrong, against the third's, which is right.
  const auto ratio = [](const std::vector<double>& slope) { return slope[1] / slope[2]; };
  const double dpo = ratio(slopes(DpoOptions{.beta = 1}, rows()));
  const double soft = ratio(slopes(DrDpoOptions{.beta = 1}, rows()));
  const double sharp = ratio(slopes(DrDpoOptions{.beta = 1, .temperature = 0.2}, rows()));
  EXPECT_GT(dpo, 10);
  EXPECT_LT(soft, 0.2 * dpo);
  EXPECT_LT(sharp, 0.01 * soft);
}

TEST(DrDpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(DrDpoOptions{.beta = 0}), HasSubstr("dr_dpo.beta must be > 0"));
  EXPECT_THAT(refusal(DrDpoOptions{.temperature = 0}), HasSubstr("dr_dpo.temperature must be > 0"));
}

}  // namespace
}  // namespace attune::objective
