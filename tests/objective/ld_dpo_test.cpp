#include "attune/objective/ld_dpo.h"

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
using tests::numbers;
using tests::refusal;
using tests::sigmoid;

// A winner of two tokens, h = (0.5, -1), and a loser of three, h = (-1, 0.5, -1).
Batch tokens(double probability = 1) {
  Batch batch({-3, -12}, {-2.5, -10.5}, {{0, 1, probability}});
  batch.in.policy.count_S = tests::f64({2, 3});
  batch.in.policy.token_C = tests::f64({-1, -2, -3, -4, -5}).set_requires_grad(true);
  batch.in.reference.token_C = tests::f64({-1.5, -1, -2, -4.5, -4});
  batch.in.feedback.sequence_C = tests::i64({0, 0, 1, 1, 1});
  return batch;
}

TEST(LdDpo, WorkedByHand) {
  // z = 2 ((0.5 - 1) - (-1 + 0.5 - 0.5 * 1)) = 1.
  const LdDpoOptions options{.beta = 2, .alpha = 0.5};
  const Batch batch = tokens();
  const TermOutput out = tests::run(options, batch.in);
  expect_numbers(numbers(out.loss_I), {logistic(1)});
  expect_numbers(numbers(out.reward_S), {2 * -0.5, 2 * -1.5});
  out.loss_I.sum().backward();
  const double s = 2 * sigmoid(-1);
  expect_numbers(numbers(batch.in.policy.token_C.grad()), {-s, -s, s, s, s / 2});
}

TEST(LdDpo, WithAlpha1IsDpo) {
  for (const double p : {1.0, 0.3}) {
    expect_numbers(losses(LdDpoOptions{.alpha = 1}, tokens(p)), losses(DpoOptions{}, tokens(p)));
  }
}

TEST(LdDpo, TheLengthIsThatOfTheOtherSideOfEachPair) {
  // A third completion of one token, h = 0.25: beside it the winner keeps 0.5 and 0 of the -1.
  Batch batch({-3, -12, -1}, {-2.5, -10.5, -1.25}, {{0, 1}, {0, 2}, {2, 1}});
  batch.in.policy.count_S = tests::f64({2, 3, 1});
  batch.in.policy.token_C = tests::f64({-1, -2, -3, -4, -5, -1}).set_requires_grad(true);
  batch.in.reference.token_C = tests::f64({-1.5, -1, -2, -4.5, -4, -1.25});
  batch.in.feedback.sequence_C = tests::i64({0, 0, 1, 1, 1, 2});
  // (0.5 - 1) - (-1 + 0.5) = 0, 0.5 - 0.25, 0.25 + 1.
  expect_numbers(losses(LdDpoOptions{.beta = 1, .alpha = 0}, batch),
                 {logistic(0), logistic(0.25), logistic(1.25)});
}

TEST(LdDpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(LdDpoOptions{.beta = 0}, tokens()), HasSubstr("ld_dpo.beta must be > 0"));
  EXPECT_THAT(refusal(LdDpoOptions{.alpha = -0.1}, tokens()),
              HasSubstr("ld_dpo.alpha must be >= 0"));
  EXPECT_THAT(refusal(LdDpoOptions{.alpha = 1.1}, tokens()),
              HasSubstr("ld_dpo.alpha must be <= 1"));
}

TEST(LdDpo, RefusesABatchWithoutTokens) {
  EXPECT_THAT(refusal(LdDpoOptions{}), HasSubstr("ld_dpo: sequence must name the completion"));
}

}  // namespace
}  // namespace attune::objective
