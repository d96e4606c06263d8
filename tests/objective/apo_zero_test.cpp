#include "attune/objective/apo_zero.h"

#include <cmath>

#include <ATen/TensorOperators.h>

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

TEST(ApoZero, WorkedByHand) {
  // beta h = (0.1, -0.1, 0.2) and (-0.05, 0.1, -0.1).
  expect_numbers(losses(ApoZeroOptions{}, rows()),
                 {sigmoid(-0.1) + sigmoid(-0.05), 2 * sigmoid(0.1), sigmoid(-0.2) + sigmoid(-0.1)});
  EXPECT_NEAR(slopes(ApoZeroOptions{}, rows())[0], -0.1 * sigmoid(0.1) * sigmoid(-0.1), 1e-14);
  EXPECT_NEAR(slopes(ApoZeroOptions{}, rows())[3], 0.1 * sigmoid(0.05) * sigmoid(-0.05), 1e-14);
}

TEST(ApoZero, EachSideIsByItself) {
  // Another loser changes nothing for the winner.
  const Batch here({1, 0}, {0, 0}, {{0, 1}});
  const Batch there({1, -9}, {0, 0}, {{0, 1}});
  EXPECT_EQ(slopes(ApoZeroOptions{}, here)[0], slopes(ApoZeroOptions{}, there)[0]);
}

TEST(ApoZero, IsTheMeanOverWhatTheLabelMayBe) {
  EXPECT_NEAR(losses(ApoZeroOptions{}, rows({0.7, 1, 1}))[0],
              0.7 * (sigmoid(-0.1) + sigmoid(-0.05)) + 0.3 * (sigmoid(0.05) + sigmoid(0.1)),
              1e-14);
}

TEST(ApoZero, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(ApoZeroOptions{.beta = 0}), HasSubstr("apo_zero.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(ApoZeroOptions{.beta = NAN}), HasSubstr("apo_zero.beta"));
}

}  // namespace
}  // namespace attune::objective
