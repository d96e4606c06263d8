#include "attune/objective/odpo.h"

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
using tests::refusal;
using tests::rows;
using tests::slopes;

// Gaps of the scores 2, 1 and 0.5.
Batch scored(const std::vector<double>& probability = {1, 1, 1}) {
  Batch batch = rows(probability);
  batch.in.feedback.score_S = tests::f64({5, 4, 1.5, 3, 3, 1});
  return batch;
}

TEST(Odpo, WorkedByHand) {
  // z = (0.15, -0.2, 0.3) - log(2, 1, 0.5).
  const double log2 = std::log(2.0);
  expect_numbers(losses(OdpoOptions{}, scored()),
                 {logistic(0.15 - log2), logistic(-0.2), logistic(0.3 + log2)});
  expect_numbers(losses(OdpoOptions{}, scored()), {1.001152, 0.798139, 0.315109}, 1e-6);
  EXPECT_NEAR(slopes(OdpoOptions{}, scored())[0], -0.06325, 1e-5);
}

TEST(Odpo, TheOffsetMayBeLinear) {
  expect_numbers(losses(OdpoOptions{.alpha = 0.5, .scale = "linear"}, scored()),
                 {logistic(0.15 - 1), logistic(-0.2 - 0.5), logistic(0.3 - 0.25)});
}

TEST(Odpo, AGapIsAtLeastAThousandth) {
  // The other way round the gap is -2, held at 0.001.
  EXPECT_NEAR(losses(OdpoOptions{}, scored({0, 1, 1}))[0], logistic(-0.15 - std::log(1e-3)), 1e-13);
}

TEST(Odpo, WithoutAlphaIsDpo) {
  expect_numbers(losses(OdpoOptions{.alpha = 0}, scored({1, 0.4, 0})),
                 losses(DpoOptions{}, rows({1, 0.4, 0})));
}

TEST(Odpo, RefusesAComparisonWithoutScores) {
  Batch batch = scored();
  batch.in.feedback.score_S = tests::f64({5, 4, 1.5, tests::kNone, 3, 1});
  EXPECT_THAT(refusal(OdpoOptions{}, batch),
              HasSubstr("odpo: 1 of 3 comparisons in this batch have a completion without a number "
                        "for \"score\""));
}

TEST(Odpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(OdpoOptions{.beta = 0}, scored()), HasSubstr("odpo.beta must be > 0"));
  EXPECT_THAT(refusal(OdpoOptions{.alpha = -1}, scored()), HasSubstr("odpo.alpha must be >= 0"));
  EXPECT_THAT(refusal(OdpoOptions{.scale = "sqrt"}, scored()), HasSubstr("odpo.scale"));
}

}  // namespace
}  // namespace attune::objective
