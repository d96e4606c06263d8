#include "attune/objective/dpo_free.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/objective/dpo.h"

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_each;
using tests::numbers;
using tests::softplus;
using tests::three_pairs;

TermOutput run(const Batch& batch, const DpoFreeOptions& options) {
  return tests::run(options, batch.in);
}

TEST(DpoFree, WorkedByHand) {
  // z = 0.5 (-10 + 12) = 1, e = 0.1: loss = 0.9 log(1 + 1/e) + 0.1 log(1 + e).
  const Batch batch({-10, -12}, {}, {{0, 1}});
  const TermOutput out = run(batch, {.beta = 0.5, .label_smoothing = 0.1});
  EXPECT_NEAR(numbers(out.loss_I)[0], 0.9 * softplus(-1) + 0.1 * softplus(1), 1e-15);
  expect_each(out.reward_S, {-5, -6}, 1e-15);
}

TEST(DpoFree, IsDpoAgainstAUniformReference) {
  const Batch free({-10, -20, -5}, {}, {{0, 1, 0.8}, {2, 1, 0.3}});
  const Batch uniform({-10, -20, -5}, {-7, -7, -7}, {{0, 1, 0.8}, {2, 1, 0.3}});
  const std::vector<double> want =
      numbers(tests::run(DpoOptions{.beta = 0.3, .label_smoothing = 0.2}, uniform.in).loss_I);
  expect_each(run(free, {.beta = 0.3, .label_smoothing = 0.2}).loss_I, want, 1e-14);
}

TEST(DpoFree, OptionsMakeADifference) {
  const Batch batch = three_pairs();
  expect_each(run(batch, {.beta = 0.1}).loss_I, {0.598139, 0.770957, 0.513015}, 1e-6);
  EXPECT_NE(numbers(run(batch, {.beta = 0.2}).loss_I)[0], numbers(run(batch, {}).loss_I)[0]);
  EXPECT_NE(numbers(run(batch, {.label_smoothing = 0.2}).loss_I)[0],
            numbers(run(batch, {}).loss_I)[0]);
}

TEST(DpoFree, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(DpoFreeOptions{.beta = 0}), HasSubstr("dpo_free.beta must be > 0"));
  EXPECT_THAT(tests::refusal(DpoFreeOptions{.label_smoothing = 0.5}),
              HasSubstr("dpo_free.label_smoothing"));
  EXPECT_THAT(tests::refusal(DpoFreeOptions{.label_smoothing = -0.1}),
              HasSubstr("dpo_free.label_smoothing"));
}
}  // namespace
}  // namespace attune::objective
