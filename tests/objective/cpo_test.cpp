#include "attune/objective/cpo.h"

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
using tests::softplus;
using tests::three_pairs;

TermOutput run(const Batch& batch, const CpoOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Cpo, WorkedByHand) {
  // z = 0.5 (-10 + 12) = 1; nll of the winner = 10 / 5 = 2; loss = log(1 + 1/e) + 3 * 2.
  Batch batch({-10, -12}, {}, {{0, 1}});
  batch.in.policy.count_S = tests::f64({5, 4});
  const TermOutput out = run(batch, {.beta = 0.5, .alpha = 3});
  EXPECT_NEAR(numbers(out.loss_I)[0], std::log1p(std::exp(-1)) + 6, 1e-14);
  expect_each(out.reward_S, {-5, -6}, 1e-15);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.5 * sigmoid(-1) - 3.0 / 5, 1e-14);
  EXPECT_NEAR(batch.slope()[1], 0.5 * sigmoid(-1), 1e-14);
}

TEST(Cpo, EqualsTheNumbersOfAnotherProgram) {
  const Batch batch = three_pairs();
  const TermOutput out = run(batch, {.beta = 0.1, .alpha = 0});
  expect_each(out.loss_I, {0.598139, 0.770957, 0.513015}, 1e-6);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], -0.04502, 1e-5);
}

TEST(Cpo, AlphaWeighsTheWinnersMeanToken) {
  const Batch batch = three_pairs();
  const std::vector<double> none = numbers(run(batch, {.alpha = 0}).loss_I);
  const double nll[] = {10.0 / 5, 20.0 / 10, 5.0 / 4};  // not 35 / 19, which is the batch's
  expect_each(run(batch, {.alpha = 0.5}).loss_I,
              {none[0] + nll[0] / 2, none[1] + nll[1] / 2, none[2] + nll[2] / 2},
              1e-14);
}

TEST(Cpo, AReversedLabelIsTheOtherPair) {
  Batch batch({-10, -12}, {}, {{0, 1, 0}, {1, 0, 1}});
  batch.in.policy.count_S = tests::f64({5, 4});
  const std::vector<double> losses = numbers(run(batch, {}).loss_I);
  EXPECT_EQ(losses[0], losses[1]);
}

TEST(Cpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(CpoOptions{.beta = 0}), HasSubstr("cpo.beta must be > 0"));
  EXPECT_THAT(tests::refusal(CpoOptions{.alpha = -1}), HasSubstr("cpo.alpha must be >= 0"));
  EXPECT_EQ(tests::refusal(CpoOptions{.beta = 1e-3, .alpha = 0}), "no error");
}
}  // namespace
}  // namespace attune::objective
