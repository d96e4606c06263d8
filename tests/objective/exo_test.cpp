#include "attune/objective/exo.h"

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

TEST(Exo, WorkedByHand) {
  // z = 0.15, e = 0.001: q log(q / 0.999) + (1 - q) log((1 - q) / 0.001).
  const double q = sigmoid(0.15);
  const double loss = q * std::log(q / 0.999) + (1 - q) * std::log((1 - q) / 0.001);
  EXPECT_NEAR(losses(ExoOptions{}, rows())[0], loss, 1e-13);
  expect_numbers(losses(ExoOptions{}, rows()), {2.505517, 3.110397, 2.258199}, 1e-6);
  EXPECT_NEAR(slopes(ExoOptions{}, rows())[0], -0.16797, 1e-5);
}

TEST(Exo, IsNothingWhereThePolicyIsAsSureAsTheLabel) {
  // p' = 0.9 * 0.8 + 0.1 * 0.2 = 0.74 and beta = 1: D = logit 0.74.
  const double D = std::log(0.74 / 0.26);
  const Batch batch({D, 0}, {0, 0}, {{0, 1, 0.8}});
  const ExoOptions options{.beta = 1, .label_smoothing = 0.1};
  EXPECT_NEAR(losses(options, batch)[0], 0, 1e-14);
  EXPECT_NEAR(slopes(options, batch)[0], 0, 1e-14);
}

TEST(Exo, FadesOnPairsThatAreBadlyWrong) {
  const auto slope = [](double D) {
    return slopes(ExoOptions{.beta = 0.5}, Batch({D, 0}, {0, 0}, {{0, 1}}))[0];
  };
  EXPECT_NEAR(slope(-4) / slope(0.02), 0.468 / 0.862, 1e-3);
}

TEST(Exo, KeepsTheSmallestSmoothingInF32) {
  Batch narrow = rows();
  narrow.in.policy.sum_S = narrow.in.policy.sum_S.detach().to(at::kFloat);
  narrow.in.reference.sum_S = narrow.in.reference.sum_S.to(at::kFloat);
  at::Tensor& p_P = narrow.in.feedback.pairs.probability_P;
  p_P = p_P.to(at::kFloat);
  const ExoOptions options{.label_smoothing = 1e-6};
  // (1 - q) log 1e-6 with q about a half. 1 - 0.999999 in f32 is 1.013e-6, 0.006 off.
  expect_numbers(losses(options, narrow), losses(options, rows()), 5e-6);
}

TEST(Exo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(ExoOptions{.beta = 0}), HasSubstr("exo.beta must be > 0"));
  EXPECT_THAT(refusal(ExoOptions{.label_smoothing = 0}),
              HasSubstr("exo.label_smoothing must be >= 1e-06"));
  EXPECT_THAT(refusal(ExoOptions{.label_smoothing = 0.5}),
              HasSubstr("exo.label_smoothing must be < 0.5"));
}

}  // namespace
}  // namespace attune::objective
