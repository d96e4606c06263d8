#include "attune/objective/alphapo.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/objective/simpo.h"

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

TermOutput run(const Batch& batch, const AlphapoOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Alphapo, WorkedByHand) {
  // a = (-1, -2), alpha = 1/2: r = ((1 - e^0.5) / 0.5, (1 - e) / 0.5); beta = 3, g = 3 * 0.5.
  Batch batch({-5, -8}, {}, {{0, 1}});
  batch.in.policy.count_S = tests::f64({5, 4});
  const TermOutput out = run(batch, {.beta = 3, .gamma_ratio = 0.5, .alpha = 0.5});
  const double z = 3 * 2 * (std::exp(1.0) - std::exp(0.5));
  EXPECT_NEAR(numbers(out.loss_I)[0], softplus(1.5 - z), 1e-12);
  expect_each(out.reward_S, {6 * (1 - std::exp(0.5)), 6 * (1 - std::exp(1.0))}, 1e-12);
  out.loss_I.sum().backward();
  // dr/da = exp(-alpha a).
  EXPECT_NEAR(batch.slope()[0], -3 * sigmoid(1.5 - z) * std::exp(0.5) / 5, 1e-12);
}

TEST(Alphapo, IsSimpoWithoutABend) {
  const Batch batch = three_pairs();
  const std::vector<double> simpo =
      numbers(tests::run(SimpoOptions{.beta = 2.5, .gamma_ratio = 0.3}, batch.in).loss_I);
  expect_each(run(batch, {.beta = 2.5, .gamma_ratio = 0.3, .alpha = 0}).loss_I, simpo, 0);
  expect_each(run(batch, {.beta = 2.5, .gamma_ratio = 0.3, .alpha = 1e-9}).loss_I, simpo, 1e-7);
}

TEST(Alphapo, AlphaBendsEitherWay) {
  // Both completions a nat apart: above 0 the less likely pair is further apart, below 0 nearer.
  Batch batch({-1, -2, -4, -5}, {}, {{0, 1}, {2, 3}});
  batch.in.policy.count_S = tests::f64({1, 1, 1, 1});
  const auto losses = [&](double alpha) {
    return numbers(run(batch, {.gamma_ratio = 0, .alpha = alpha}).loss_I);
  };
  EXPECT_GT(losses(0.25)[0], losses(0.25)[1]);
  EXPECT_LT(losses(-0.25)[0], losses(-0.25)[1]);
}

TEST(Alphapo, GoesOnAlongTheTangentFarOut) {
  // -alpha a = 30: exp(20) (1 + 10), its slope still exp(20).
  Batch batch({-30, -31}, {}, {{1, 0}});
  batch.in.policy.count_S = tests::f64({1, 1});
  const TermOutput out = run(batch, {.beta = 1, .gamma_ratio = 0, .alpha = 1});
  const double e20 = std::exp(20.0);
  EXPECT_NEAR(numbers(out.reward_S)[0], 1 - 11 * e20, 1e-6);
  out.loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[0], e20, 1e-6);
  EXPECT_NEAR(batch.slope()[1], -e20, 1e-6);
}

TEST(Alphapo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(AlphapoOptions{.beta = 0}), HasSubstr("alphapo.beta must be > 0"));
  EXPECT_THAT(tests::refusal(AlphapoOptions{.gamma_ratio = -1}),
              HasSubstr("alphapo.gamma_ratio must be >= 0"));
  EXPECT_THAT(tests::refusal(AlphapoOptions{.alpha = 10.5}), HasSubstr("alphapo.alpha"));
  EXPECT_THAT(tests::refusal(AlphapoOptions{.alpha = -10.5}), HasSubstr("alphapo.alpha"));
  EXPECT_EQ(tests::refusal(AlphapoOptions{.alpha = -10}), "no error");
}
}  // namespace
}  // namespace attune::objective
