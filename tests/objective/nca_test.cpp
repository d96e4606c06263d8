#include "attune/objective/nca.h"

#include <cmath>

#include <ATen/TensorOperators.h>

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

TEST(Nca, WorkedByHand) {
  // r = (0.1, -0.05): log(1 + e^-0.1) + (log(1 + e^0.1) + log(1 + e^-0.05)) / 2.
  const NcaOptions options{.beta = 0.1};
  EXPECT_NEAR(
      losses(options, rows())[0], logistic(0.1) + (logistic(-0.1) + logistic(0.05)) / 2, 1e-14);
  expect_numbers(losses(options, rows()), {1.350825, 1.438793, 1.319407}, 1e-6);
  EXPECT_NEAR(slopes(options, rows())[0], -0.1 * sigmoid(-0.1) + 0.05 * sigmoid(0.1), 1e-14);
}

TEST(Nca, AWinnerRestsAtLogTwo) {
  // sigmoid(r) = 1 / (1 + 1/2): r = log 2, whatever the loser does.
  const Batch batch({std::log(2.0), -7}, {0, 0}, {{0, 1}});
  EXPECT_NEAR(slopes(NcaOptions{.beta = 1}, batch)[0], 0, 1e-15);
}

TEST(Nca, IsTheMeanOverWhatTheLabelMayBe) {
  const std::vector<double> one = losses(NcaOptions{}, rows({1, 1, 1}));
  const std::vector<double> other = losses(NcaOptions{}, rows({0, 0, 0}));
  EXPECT_NEAR(losses(NcaOptions{}, rows({0.7, 1, 1}))[0], 0.7 * one[0] + 0.3 * other[0], 1e-14);
  EXPECT_GT(other[0], one[0]);
}

TEST(Nca, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(NcaOptions{.beta = 0}), HasSubstr("nca.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(NcaOptions{.beta = NAN}), HasSubstr("nca.beta"));
}

}  // namespace
}  // namespace attune::objective
