#include "attune/objective/f_dpo.h"

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

TEST(FDpo, WorkedByHand) {
  // h = (1, -0.5): forward KL g = (-e^-1, -e^0.5), JS g = log sigmoid(h), alpha = 1/2
  // g = 2 (1 - e^(-h/2)).
  const auto first = [](const char* divergence) {
    return losses(FDpoOptions{.divergence = divergence}, rows())[0];
  };
  EXPECT_NEAR(first("forward_kl"), logistic(0.1 * (std::exp(0.5) - std::exp(-1))), 1e-14);
  EXPECT_NEAR(first("js"), logistic(0.1 * (logistic(-0.5) - logistic(1))), 1e-14);
  EXPECT_NEAR(first("alpha"), logistic(0.2 * (std::exp(0.25) - std::exp(-0.5))), 1e-14);
}

TEST(FDpo, EqualsNumbersWorkedElsewhere) {
  struct Case {
    const char* divergence;
    std::vector<double> losses;
    double slope;
  };
  for (const Case& one : {Case{"forward_kl", {0.631154, 0.817557, 0.572316}, -0.01722},
                          Case{"js", {0.660652, 0.744397, 0.635589}, -0.01300},
                          Case{"alpha", {0.627691, 0.802787, 0.573243}, -0.02828}}) {
    SCOPED_TRACE(one.divergence);
    const FDpoOptions options{.divergence = one.divergence};
    expect_numbers(losses(options, rows()), one.losses, 1e-6);
    EXPECT_NEAR(slopes(options, rows())[0], one.slope, 1e-5);
  }
}

TEST(FDpo, ReverseKlIsDpo) {
  expect_numbers(losses(FDpoOptions{.divergence = "reverse_kl"}, rows({1, 0.4, 0})),
                 losses(DpoOptions{}, rows({1, 0.4, 0})));
}

TEST(FDpo, AlphaGoesFromReverseToForwardKl) {
  const auto alpha = [](double a) {
    return losses(FDpoOptions{.divergence = "alpha", .alpha = a}, rows());
  };
  expect_numbers(alpha(1e-9), losses(FDpoOptions{.divergence = "reverse_kl"}, rows()), 1e-8);
  expect_numbers(alpha(1 - 1e-9), losses(FDpoOptions{.divergence = "forward_kl"}, rows()), 1e-8);
}

TEST(FDpo, IsFiniteFarOutWhateverTheDivergence) {
  for (const char* const divergence : {"alpha", "forward_kl", "js", "reverse_kl"}) {
    for (const double far : {1e4, -1e4}) {
      const Batch batch({far, 0}, {0, 0}, {{0, 1}});
      const FDpoOptions options{.divergence = divergence};
      EXPECT_TRUE(std::isfinite(losses(options, batch)[0])) << divergence << far;
      EXPECT_TRUE(std::isfinite(slopes(options, batch)[0])) << divergence << far;
    }
  }
}

TEST(FDpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(FDpoOptions{.beta = 0}), HasSubstr("f_dpo.beta must be > 0"));
  EXPECT_THAT(refusal(FDpoOptions{.divergence = "tv"}), HasSubstr("f_dpo.divergence"));
  EXPECT_THAT(refusal(FDpoOptions{.alpha = 0}), HasSubstr("f_dpo.alpha must be > 0"));
  EXPECT_THAT(refusal(FDpoOptions{.alpha = 1}), HasSubstr("f_dpo.alpha must be < 1"));
}

}  // namespace
}  // namespace attune::objective
