#include "attune/objective/dpo_norm.h"

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
using tests::slopes;

TEST(DpoNorm, WorkedByHand) {
  // D = (1/5 + 0.5/6, -1/10 - 1/9, 2/4 + 1/8), beta = 5.
  expect_numbers(losses(DpoNormOptions{}, rows()),
                 {logistic(5 * 17.0 / 60), logistic(-5 * 19.0 / 90), logistic(3.125)});
  expect_numbers(losses(DpoNormOptions{}, rows()), {0.217142, 1.354177, 0.042999}, 1e-6);
  EXPECT_NEAR(slopes(DpoNormOptions{}, rows())[0], -0.19518, 1e-5);
}

TEST(DpoNorm, OfOneLengthIsDpoAtBetaByThatLength) {
  Batch batch = rows({1, 0.4, 0});
  batch.in.policy.count_S = tests::f64({7, 7, 7, 7, 7, 7});
  expect_numbers(losses(DpoNormOptions{.beta = 0.7}, batch),
                 losses(DpoOptions{.beta = 0.1}, rows({1, 0.4, 0})));
}

TEST(DpoNorm, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(DpoNormOptions{.beta = 0}), HasSubstr("dpo_norm.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(DpoNormOptions{.beta = NAN}), HasSubstr("dpo_norm.beta"));
}

}  // namespace
}  // namespace attune::objective
