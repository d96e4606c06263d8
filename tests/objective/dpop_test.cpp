#include "attune/objective/dpop.h"

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
using tests::sigmoid;
using tests::slopes;

TEST(Dpop, WorkedByHand) {
  // The second winner has h = -1: z = 0.1 (-2 - 5 * 1) = -0.7; the others are above the reference.
  const Batch batch = rows();
  expect_numbers(losses(DpopOptions{}, batch), {logistic(0.15), logistic(-0.7), logistic(0.3)});
  expect_numbers(slopes(DpopOptions{}, batch),
                 {-0.1 * sigmoid(-0.15),
                  -0.6 * sigmoid(0.7),
                  -0.1 * sigmoid(-0.3),
                  0.1 * sigmoid(-0.15),
                  0.1 * sigmoid(0.7),
                  0.1 * sigmoid(-0.3)});
}

TEST(Dpop, AtTheReferenceHasTheMeanOfBothSlopes) {
  // Of -0.1 (1 + 5) / 2 below it and -0.1 / 2 above it.
  const Batch batch({-3, -4}, {-3, -4}, {{0, 1}});
  expect_numbers(slopes(DpopOptions{}, batch), {-0.1 * 3.5 / 2, 0.1 / 2});
}

TEST(Dpop, WithoutThePenaltyIsDpo) {
  expect_numbers(losses(DpopOptions{.lambda = 0}, rows({1, 0.4, 0})),
                 losses(DpoOptions{}, rows({1, 0.4, 0})));
}

TEST(Dpop, ASoftLabelPunishesWhicheverSideMayBeTheWinner) {
  // The first loser has h = -0.5: 0.1 (-1.5 - 5 * 0.5) = -0.4.
  EXPECT_NEAR(losses(DpopOptions{}, rows({0.7, 1, 1}))[0],
              0.7 * logistic(0.15) + 0.3 * logistic(-0.4),
              1e-14);
}

TEST(Dpop, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(DpopOptions{.beta = 0}), HasSubstr("dpop.beta must be > 0"));
  EXPECT_THAT(refusal(DpopOptions{.lambda = -1}), HasSubstr("dpop.lambda must be >= 0"));
}

}  // namespace
}  // namespace attune::objective
