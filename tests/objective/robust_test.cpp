#include "attune/objective/robust.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/objective/dpo.h"

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::expect_numbers;
using tests::logistic;
using tests::losses;
using tests::refusal;
using tests::rows;
using tests::slopes;

TEST(Robust, WorkedByHand) {
  // z = 0.15, e = 0.1: (0.9 log(1 + e^-0.15) - 0.1 log(1 + e^0.15)) / 0.8.
  const RobustOptions options{.beta = 0.1, .label_smoothing = 0.1};
  EXPECT_NEAR(
      losses(options, rows())[0], (0.9 * logistic(0.15) - 0.1 * logistic(-0.15)) / 0.8, 1e-14);
  expect_numbers(losses(options, rows()), {0.602207, 0.823139, 0.516855}, 1e-6);
  EXPECT_NEAR(slopes(options, rows())[0], -0.05876, 1e-5);
}

TEST(Robust, WithoutNoiseIsDpoToTheBit) {
  EXPECT_EQ(losses(RobustOptions{.label_smoothing = 0}, rows({1, 0.3, 0})),
            losses(DpoOptions{}, rows({1, 0.3, 0})));
}

TEST(Robust, IsDpoOnTheTrueLabelsInExpectation) {
  // A true label p seen through flips of rate e is p (1 - e) + (1 - p) e.
  const double e = 0.3;
  std::vector<double> seen;
  for (const double p : {1.0, 0.2, 0.7}) {
    seen.push_back(p * (1 - e) + (1 - p) * e);
  }
  expect_numbers(losses(RobustOptions{.label_smoothing = e}, rows(seen)),
                 losses(DpoOptions{}, rows({1, 0.2, 0.7})));
}

TEST(Robust, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(RobustOptions{.beta = 0}), HasSubstr("robust.beta must be > 0"));
  EXPECT_THAT(refusal(RobustOptions{.label_smoothing = 0.5}),
              HasSubstr("robust.label_smoothing must be < 0.5"));
  EXPECT_THAT(refusal(RobustOptions{.label_smoothing = -0.1}),
              HasSubstr("robust.label_smoothing must be >= 0"));
}

}  // namespace
}  // namespace attune::objective
