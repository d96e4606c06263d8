#include "attune/objective/r_dpo.h"

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

TEST(RDpo, WorkedByHand) {
  // z = (0.15, -0.2, 0.3) + 0.02 (5 - 6, 10 - 9, 4 - 8) = (0.13, -0.18, 0.22).
  const RDpoOptions options{.beta = 0.1, .alpha = 0.02};
  expect_numbers(losses(options, rows()), {logistic(0.13), logistic(-0.18), logistic(0.22)});
  EXPECT_NEAR(slopes(options, rows())[0], -0.1 * sigmoid(-0.13), 1e-14);
}

TEST(RDpo, ExpectsTheLongerSideToWin) {
  // Winning by length alone is no news: the longer the winner, the smaller the loss.
  Batch longer = rows();
  longer.in.policy.count_S = tests::f64({50, 10, 4, 6, 9, 8});
  EXPECT_LT(losses(RDpoOptions{}, longer)[0], losses(RDpoOptions{}, rows())[0]);
}

TEST(RDpo, WithoutAlphaIsDpo) {
  expect_numbers(losses(RDpoOptions{.alpha = 0}, rows({1, 0.4, 0})),
                 losses(DpoOptions{}, rows({1, 0.4, 0})));
}

TEST(RDpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(RDpoOptions{.beta = 0}), HasSubstr("r_dpo.beta must be > 0"));
  EXPECT_THAT(refusal(RDpoOptions{.alpha = -0.01}), HasSubstr("r_dpo.alpha must be >= 0"));
}

}  // namespace
}  // namespace attune::objective
