#include "attune/objective/apo_down.h"

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

TEST(ApoDown, WorkedByHand) {
  // beta h[winner] = (0.1, -0.1, 0.2), beta D = (0.15, -0.2, 0.3).
  expect_numbers(
      losses(ApoDownOptions{}, rows()),
      {sigmoid(0.1) + sigmoid(-0.15), sigmoid(-0.1) + sigmoid(0.2), sigmoid(0.2) + sigmoid(-0.3)});
}

TEST(ApoDown, AtTheReferenceTheWinnerStaysAndTheLoserFalls) {
  const Batch batch({-3, -4}, {-3, -4}, {{0, 1}});
  expect_numbers(slopes(ApoDownOptions{.beta = 0.5}, batch), {0, 0.125});
}

TEST(ApoDown, PullsAWinnerDownPastTheReference) {
  // beta h = (1, -1): (s(1) s(-1) - s(2) s(-2)) / 2 = +0.0458.
  const Batch batch({2, -2}, {0, 0}, {{0, 1}});
  const double rise = sigmoid(1) * sigmoid(-1);
  const double gap = sigmoid(2) * sigmoid(-2);
  expect_numbers(slopes(ApoDownOptions{.beta = 0.5}, batch), {0.5 * (rise - gap), 0.5 * gap});
  EXPECT_GT(rise - gap, 0);
}

TEST(ApoDown, IsTheMeanOverWhatTheLabelMayBe) {
  EXPECT_NEAR(losses(ApoDownOptions{}, rows({0.7, 1, 1}))[0],
              0.7 * (sigmoid(0.1) + sigmoid(-0.15)) + 0.3 * (sigmoid(-0.05) + sigmoid(0.15)),
              1e-14);
}

TEST(ApoDown, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(ApoDownOptions{.beta = 0}), HasSubstr("apo_down.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(ApoDownOptions{.beta = NAN}), HasSubstr("apo_down.beta"));
}

}  // namespace
}  // namespace attune::objective
