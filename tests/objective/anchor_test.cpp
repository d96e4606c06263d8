#include "attune/objective/anchor.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::expect_numbers;
using tests::logistic;
using tests::losses;
using tests::refusal;
using tests::rows;
using tests::sigmoid;
using tests::slopes;

TEST(Anchor, WorkedByHand) {
  // beta h[winner] = (0.1, -0.1, 0.2).
  expect_numbers(losses(AnchorOptions{}, rows()), {logistic(0.1), logistic(-0.1), logistic(0.2)});
  expect_numbers(slopes(AnchorOptions{}, rows()),
                 {-0.1 * sigmoid(-0.1), -0.1 * sigmoid(0.1), -0.1 * sigmoid(-0.2), 0, 0, 0});
}

TEST(Anchor, DeltaIsABoundToPass) {
  EXPECT_NEAR(losses(AnchorOptions{.delta = 0.3}, rows())[0], logistic(-0.2), 1e-14);
  EXPECT_NEAR(losses(AnchorOptions{.delta = -0.3}, rows())[0], logistic(0.4), 1e-14);
}

TEST(Anchor, HoldsWhicheverSideMayBeTheWinner) {
  // The first loser has h = -0.5.
  EXPECT_NEAR(losses(AnchorOptions{}, rows({0.7, 1, 1}))[0],
              0.7 * logistic(0.1) + 0.3 * logistic(-0.05),
              1e-14);
}

TEST(Anchor, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(AnchorOptions{.beta = 0}), HasSubstr("anchor.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(AnchorOptions{.beta = NAN}), HasSubstr("anchor.beta"));
}

}  // namespace
}  // namespace attune::objective
