#include "attune/objective/ties.h"

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

const std::vector<std::string> kModels{"davidson", "rao_kupper"};

TEST(Ties, WorkedByHand) {
  // z = 0.15. Rao and Kupper: a = 2 artanh(1/2) = log 3.
  const double a = std::log(3.0);
  const TiesOptions rao_kupper{.beta = 0.1};
  EXPECT_NEAR(losses(rao_kupper, rows())[0], logistic(0.15 - a), 1e-14);
  EXPECT_NEAR(losses(rao_kupper, rows({0.5, 1, 1}))[0],
              -std::log(8 * sigmoid(0.15 - a) * sigmoid(-0.15 - a)),
              1e-14);
  // Davidson, nu = 1: s = e^(h / 10) of both, and twice their geometric mean below.
  const double win = std::exp(0.1), lose = std::exp(-0.05), tie = 2 * std::sqrt(win * lose);
  const TiesOptions davidson{.beta = 0.1, .model = "davidson"};
  EXPECT_NEAR(losses(davidson, rows())[0], -std::log(win / (win + lose + tie)), 1e-14);
  EXPECT_NEAR(losses(davidson, rows({0.5, 1, 1}))[0], -std::log(tie / (win + lose + tie)), 1e-14);
}

TEST(Ties, ProbabilitiesOfTheOutcomesSumTo1) {
  for (const std::string& model : kModels) {
    for (const double rate : {0.01, 0.5, 0.9}) {
      const TiesOptions options{.beta = 0.7, .model = model, .tie_rate = rate};
      const std::vector<double> win = losses(options, rows({1, 1, 1}));
      const std::vector<double> lose = losses(options, rows({0, 0, 0}));
      const std::vector<double> tie = losses(options, rows({0.5, 0.5, 0.5}));
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(std::exp(-win[i]) + std::exp(-lose[i]) + std::exp(-tie[i]), 1, 1e-14);
      }
      const Batch equal({-3, -4}, {-3, -4}, {{0, 1, 0.5}});
      EXPECT_NEAR(losses(options, equal)[0], -std::log(rate), 1e-14);
    }
  }
}

TEST(Ties, ATiePullsTheMarginToNothing) {
  for (const std::string& model : kModels) {
    const std::vector<double> slope = slopes(TiesOptions{.model = model}, rows({0.5, 0.5, 0.5}));
    EXPECT_GT(slope[0], 0);  // margin 1.5
    EXPECT_LT(slope[1], 0);  // margin -2
  }
}

TEST(Ties, NearlyATieIsNone) {
  for (const std::string& model : kModels) {
    const TiesOptions options{.model = model};
    const double win = losses(options, rows({1, 1, 1}))[0];
    const double lose = losses(options, rows({0, 1, 1}))[0];
    EXPECT_NEAR(losses(options, rows({0.51, 1, 1}))[0], 0.51 * win + 0.49 * lose, 1e-14);
  }
}

TEST(Ties, WithHardlyAnyTiesIsDpo) {
  for (const std::string& model : kModels) {
    expect_numbers(losses(TiesOptions{.model = model, .tie_rate = 1e-12}, rows({1, 0, 0.8})),
                   losses(DpoOptions{}, rows({1, 0, 0.8})),
                   1e-11);
  }
}

TEST(Ties, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(TiesOptions{.beta = 0}), HasSubstr("ties.beta must be > 0"));
  EXPECT_THAT(refusal(TiesOptions{.model = "elo"}), HasSubstr("ties.model"));
  EXPECT_THAT(refusal(TiesOptions{.tie_rate = 0}), HasSubstr("ties.tie_rate must be > 0"));
  EXPECT_THAT(refusal(TiesOptions{.tie_rate = 1}), HasSubstr("ties.tie_rate must be < 1"));
}

}  // namespace
}  // namespace attune::objective
