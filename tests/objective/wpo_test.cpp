#include "attune/objective/wpo.h"

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

// Two tokens with log pi - log sum pi^2 = (-0.5, -0.3), then three with (0.2, 0.1, 0.3).
Batch tokens(double probability = 1) {
  Batch batch({-10, -12}, {-11, -11.5}, {{0, 1, probability}});  // D = 1.5
  batch.in.policy.count_S = tests::f64({2, 3});
  batch.in.policy.token_C = tests::f64({-2.5, -1.5, -0.5, -0.7, -0.4}).set_requires_grad(true);
  batch.in.policy.concentration_C = tests::f64({-2, -1.2, -0.7, -0.8, -0.7});
  batch.in.reference.token_C = tests::f64({-1, -1, -1, -1, -1});
  batch.in.feedback.sequence_C = tests::i64({0, 0, 1, 1, 1});
  return batch;
}

TEST(Wpo, WorkedByHand) {
  // Means -0.4 and 0.2: weight e^-0.2. z = 0.1 * 1.5.
  const WpoOptions options{.beta = 0.1};
  const Batch batch = tokens();
  const TermOutput out = tests::run(options, batch.in);
  expect_numbers(numbers(out.loss_I), {std::exp(-0.2) * logistic(0.15)});
  out.loss_I.sum().backward();
  const double s = std::exp(-0.2) * 0.1 * sigmoid(-0.15);
  expect_numbers(batch.slope(), {-s, s});
  EXPECT_FALSE(batch.in.policy.token_C.grad().defined());  // the weight is held fixed
}

TEST(Wpo, APairNeverCountsMoreThanOnce) {
  Batch batch = tokens();
  batch.in.policy.concentration_C = tests::f64({-3, -3, -3, -3, -3});
  expect_numbers(losses(WpoOptions{}, batch), losses(DpoOptions{.beta = 0.01}, tokens()));
  batch.in.policy.concentration_C = tests::f64({-1e6, -3, 1e6, 1e6, 1e6});  // e^(5e5) e^-1e6
  expect_numbers(losses(WpoOptions{}, batch), {0});
}

TEST(Wpo, SoftLabelsAreThoseOfDpo) {
  expect_numbers(losses(WpoOptions{.beta = 0.1}, tokens(0.3)),
                 {std::exp(-0.2) * (0.3 * logistic(0.15) + 0.7 * logistic(-0.15))});
}

TEST(Wpo, RefusesABetaThatIsNotAbove0AndABatchWithoutTokens) {
  EXPECT_THAT(refusal(WpoOptions{.beta = 0}, tokens()), HasSubstr("wpo.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(WpoOptions{}), HasSubstr("wpo: sequence must name the completion"));
}

}  // namespace
}  // namespace attune::objective
