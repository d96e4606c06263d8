#include "attune/objective/tdpo.h"

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

Batch divergent(double probability = 1) {
  Batch batch({-10, -12}, {-11, -11.5}, {{0, 1, probability}});  // D = 1.5
  batch.in.policy.divergence_S = tests::f64({0.3, 0.7}).set_requires_grad(true);
  return batch;
}

TEST(Tdpo, WorkedByHand) {
  // Version 1: z = 0.1 (1.5 - (0.7 - 0.3)); version 2: z = 0.1 (1.5 - 0.5 (0.7 - 0.3)).
  EXPECT_NEAR(losses(TdpoOptions{.version = 1}, divergent())[0], logistic(0.11), 1e-14);
  EXPECT_NEAR(losses(TdpoOptions{.version = 2}, divergent())[0], logistic(0.13), 1e-14);
  EXPECT_NEAR(losses(TdpoOptions{.alpha = 2}, divergent())[0], logistic(0.07), 1e-14);
}

TEST(Tdpo, Version1PushesBothDivergencesAndVersion2TheLosers) {
  const auto slope = [](const TdpoOptions& options) {
    const Batch batch = divergent();
    tests::run(options, batch.in).loss_I.sum().backward();
    std::vector<double> all = batch.slope();
    const std::vector<double> more = numbers(batch.in.policy.divergence_S.grad());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const double one = 0.1 * sigmoid(-0.11);
  const double two = 0.1 * sigmoid(-0.13);
  expect_numbers(slope({.version = 1}), {-one, one, -one, one});
  expect_numbers(slope({.version = 2}), {-two, two, 0, two / 2});
}

TEST(Tdpo, ASoftLabelHoldsEachSideWhereItWouldLose) {
  // The other way round: 0.1 (-1.5 - 0.5 (0.3 - 0.7)) = -0.13.
  EXPECT_NEAR(losses(TdpoOptions{}, divergent(0.75))[0],
              0.75 * logistic(0.13) + 0.25 * logistic(-0.13),
              1e-14);
}

TEST(Tdpo, WithoutDivergenceIsDpo) {
  Batch batch = divergent(0.8);
  batch.in.policy.divergence_S = tests::f64({0, 0});
  for (const int64_t version : {1, 2}) {
    expect_numbers(losses(TdpoOptions{.version = version}, batch),
                   losses(DpoOptions{}, divergent(0.8)));
  }
}

TEST(Tdpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(TdpoOptions{.beta = 0}, divergent()), HasSubstr("tdpo.beta must be > 0"));
  EXPECT_THAT(refusal(TdpoOptions{.version = 3}, divergent()),
              HasSubstr("tdpo.version must be <= 2"));
  EXPECT_THAT(refusal(TdpoOptions{.version = 0}, divergent()),
              HasSubstr("tdpo.version must be >= 1"));
  EXPECT_THAT(refusal(TdpoOptions{.alpha = -1}, divergent()), HasSubstr("tdpo.alpha must be >= 0"));
  EXPECT_THAT(refusal(TdpoOptions{}), HasSubstr("tdpo: policy.divergence"));
}

}  // namespace
}  // namespace attune::objective
