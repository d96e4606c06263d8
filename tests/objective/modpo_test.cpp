#include "attune/objective/modpo.h"

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

Batch rewarded(const std::vector<double>& probability = {1, 1, 1}) {
  Batch batch = rows(probability);
  batch.in.feedback.values["reward"] = tests::f64({0.2, -0.1, 0.5, 0.4, 0.3, -0.2});
  batch.in.feedback.values["other"] = tests::f64({1, 0, 0, 0, 0, 1});
  return batch;
}

TEST(Modpo, WorkedByHand) {
  // z = ((0.15, -0.2, 0.3) - 0.3 (-0.2, -0.4, 0.7)) / 0.7 = (0.21, -0.08, 0.09) / 0.7.
  expect_numbers(losses(ModpoOptions{}, rewarded()),
                 {logistic(0.3), logistic(-0.08 / 0.7), logistic(0.09 / 0.7)});
  EXPECT_NEAR(slopes(ModpoOptions{}, rewarded())[0], -0.1 / 0.7 * sigmoid(-0.3), 1e-14);
}

TEST(Modpo, EveryOtherGoalHasItsWeight) {
  // z = 0.15 - 0.3 * -0.2 - 0.5 * 1, by 0.5.
  const ModpoOptions options{.own_weight = 0.5, .others = {{"reward", "0.3"}, {"other", "0.5"}}};
  EXPECT_NEAR(losses(options, rewarded())[0], logistic((0.15 + 0.06 - 0.5) / 0.5), 1e-13);
  EXPECT_EQ(options.columns(), (std::vector<std::string>{"other", "reward"}));
}

TEST(Modpo, WithNoWeightOnTheOthersIsDpo) {
  expect_numbers(
      losses(ModpoOptions{.own_weight = 1, .others = {{"reward", "0"}}}, rewarded({1, 0.4, 0})),
      losses(DpoOptions{}, rows({1, 0.4, 0})));
}

TEST(Modpo, AFactorOfAllWeightsIsADivisorOfBeta) {
  const ModpoOptions options{.beta = 0.1, .own_weight = 0.5, .others = {{"reward", "-0.25"}}};
  const ModpoOptions twice{.beta = 0.2, .own_weight = 1, .others = {{"reward", "-0.5"}}};
  expect_numbers(losses(twice, rewarded()), losses(options, rewarded()));
}

TEST(Modpo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(ModpoOptions{.beta = 0}), HasSubstr("modpo.beta must be > 0"));
  EXPECT_THAT(refusal(ModpoOptions{.own_weight = 0}), HasSubstr("modpo.own_weight must be > 0"));
  EXPECT_THAT(refusal(ModpoOptions{.others = {}}), HasSubstr("modpo.others: no other goal"));
  EXPECT_THAT(refusal(ModpoOptions{.others = {{"reward", "much"}}}),
              HasSubstr("modpo.others.reward must be a number, got much"));
}

TEST(Modpo, RefusesAColumnThatIsMissingOrHasHoles) {
  EXPECT_THAT(refusal(ModpoOptions{}), HasSubstr("modpo: the data has no values \"reward\""));
  Batch batch = rewarded();
  batch.in.feedback.values["reward"] = tests::f64({0, 0, tests::kNone, 0, 0, 0});
  EXPECT_THAT(refusal(ModpoOptions{}, batch), HasSubstr("modpo: 1 of 3 comparisons"));
}

}  // namespace
}  // namespace attune::objective
