#include "attune/objective/aot.h"

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
using tests::sigmoid;
using tests::slopes;

TEST(Aot, WorkedByHand) {
  // Policy margins (3, -1, 1), reference margins (0.5, 2, -0.25): by rank 3 meets 2, 1 meets 0.5
  // and -1 meets -0.25.
  const Batch batch({3, -1, 1, 0, 0, 0}, {0.5, 2, -0.25, 0, 0, 0}, {{0, 3}, {1, 4}, {2, 5}});
  expect_numbers(losses(AotOptions{.beta = 2}, batch), {logistic(2), logistic(-1.5), logistic(1)});
  const std::vector<double> slope = slopes(AotOptions{.beta = 2}, batch);
  expect_numbers(slope,
                 {-2 * sigmoid(-2),
                  -2 * sigmoid(1.5),
                  -2 * sigmoid(-1),
                  2 * sigmoid(-2),
                  2 * sigmoid(1.5),
                  2 * sigmoid(-1)});
}

TEST(Aot, OfOnePairIsDpo) {
  for (const double p : {1.0, 0.0, 0.7}) {
    const Batch batch({-10, -12}, {-11, -11.5}, {{0, 1, p}});
    if (p == 0.7) {
      // Both ways of the pair are points: at 2 and -2, and at 0.5 and -0.5 in the reference. The
      // masses that meet: 0.7 at the top, and 0.3 at the bottom.
      EXPECT_NEAR(losses(AotOptions{.beta = 0.1}, batch)[0],
                  0.7 * logistic(0.15) + 0.3 * logistic(-0.15),
                  1e-14);
    }
    expect_numbers(losses(AotOptions{.beta = 0.1}, batch), losses(DpoOptions{.beta = 0.1}, batch));
  }
}

TEST(Aot, OfOneUncertainPairThatPolicyAndReferenceSeeApartIsNotDpo) {
  // p = 0.7: policy masses 0.7 at 2 and 0.3 at -2, reference masses 0.3 at 0.5 and 0.7 at -0.5.
  // From the top 0.3 at 2 meets 0.5, 0.4 at 2 meets -0.5, 0.3 at -2 meets -0.5.
  const Batch batch({-10, -12}, {-11.5, -11}, {{0, 1, 0.7}});
  EXPECT_NEAR(losses(AotOptions{.beta = 0.1}, batch)[0],
              0.3 * logistic(0.15) + 0.4 * logistic(0.25) + 0.3 * logistic(-0.15),
              1e-14);
  EXPECT_NEAR(losses(DpoOptions{.beta = 0.1}, batch)[0],
              0.7 * logistic(0.25) + 0.3 * logistic(-0.25),
              1e-14);
}

TEST(Aot, AWeightIsThatManyCopies) {
  Batch weighted({3, -1, 0, 0}, {0.5, 2, 0, 0}, {{0, 2}, {1, 3}});
  weighted.in.feedback.pairs.weight_P = tests::f64({2, 1});
  const Batch copies({3, -1, 0, 0}, {0.5, 2, 0, 0}, {{0, 2}, {0, 2}, {1, 3}});
  const std::vector<double> one = losses(AotOptions{}, weighted);
  const std::vector<double> two = losses(AotOptions{}, copies);
  // Margins (3, 3, -1) meet (2, 0.5, 0.5).
  EXPECT_NEAR(one[0], (logistic(0.01) + logistic(0.025)) / 2, 1e-14);
  EXPECT_NEAR(one[1], logistic(-0.015), 1e-14);
  expect_numbers(two, {one[0], one[0], one[1]});
}

TEST(Aot, EqualMarginsShareWhatTheyMeet) {
  const Batch batch({1, 1, 0, 0}, {4, -4, 0, 0}, {{0, 2}, {1, 3}});
  const double mean = (logistic(-0.03) + logistic(0.05)) / 2;
  expect_numbers(losses(AotOptions{}, batch), {mean, mean});
}

TEST(Aot, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(AotOptions{.beta = 0}), HasSubstr("aot.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(AotOptions{.beta = NAN}), HasSubstr("aot.beta"));
}

}  // namespace
}  // namespace attune::objective
