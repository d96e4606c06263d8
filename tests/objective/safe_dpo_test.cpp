#include "attune/objective/safe_dpo.h"

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

// Of each pair: both safe, the loser unsafe, the winner unsafe.
Batch labelled(const std::vector<double>& probability = {1, 1, 1}) {
  Batch batch = rows(probability);
  batch.in.feedback.values["unsafe"] = tests::f64({0, 0.5, 0.9, 0.1, 0.6, 0});
  return batch;
}

TEST(SafeDpo, WorkedByHand) {
  // z = (0.15, -0.2, 0.3), delta = 2.
  const SafeDpoOptions options{.delta = 2};
  expect_numbers(losses(options, labelled()), {logistic(0.15), logistic(-2.2), logistic(-2.3)});
  const std::vector<double> slope = slopes(options, labelled());
  EXPECT_NEAR(slope[1], -0.1 * sigmoid(2.2), 1e-14);
  EXPECT_NEAR(slope[2], 0.1 * sigmoid(2.3), 1e-14);  // the unsafe winner goes down
}

TEST(SafeDpo, APairThatIsUnsafeOnBothSidesSaysNothing) {
  Batch batch = rows();
  batch.in.feedback.values["unsafe"] = tests::f64({1, 1, 1, 1, 0, 1});
  const std::vector<double> all = losses(SafeDpoOptions{}, batch);
  expect_numbers(all, {0, logistic(0.2), 0});
  expect_numbers(slopes(SafeDpoOptions{}, batch),
                 {0, 0.1 * sigmoid(-0.2), 0, 0, -0.1 * sigmoid(-0.2), 0});
}

TEST(SafeDpo, SafetyIsSureWhateverTheLabel) {
  const std::vector<double> hard = losses(SafeDpoOptions{}, labelled());
  const std::vector<double> soft = losses(SafeDpoOptions{}, labelled({0.7, 0.7, 0.7}));
  EXPECT_NEAR(soft[0], 0.7 * logistic(0.15) + 0.3 * logistic(-0.15), 1e-14);
  EXPECT_EQ(soft[1], hard[1]);
  EXPECT_EQ(soft[2], hard[2]);
}

TEST(SafeDpo, WhereAllIsSafeIsDpo) {
  expect_numbers(losses(SafeDpoOptions{.delta = 3, .threshold = 1}, labelled({1, 0.4, 0})),
                 losses(DpoOptions{}, rows({1, 0.4, 0})));
}

TEST(SafeDpo, ReadsTheColumnThatIsNamed) {
  Batch batch = rows();
  batch.in.feedback.values["harm"] = tests::f64({1, 0, 0, 0, 0, 0});
  const SafeDpoOptions options{.unsafe = "harm"};
  EXPECT_NEAR(losses(options, batch)[0], logistic(-0.15), 1e-14);
  EXPECT_EQ(options.columns(), std::vector<std::string>{"harm"});
}

TEST(SafeDpo, RefusesOptionsOutOfBoundsAndAColumnWithHoles) {
  EXPECT_THAT(refusal(SafeDpoOptions{.beta = 0}, labelled()),
              HasSubstr("safe_dpo.beta must be > 0"));
  EXPECT_THAT(refusal(SafeDpoOptions{.delta = -1}, labelled()),
              HasSubstr("safe_dpo.delta must be >= 0"));
  EXPECT_THAT(refusal(SafeDpoOptions{}), HasSubstr("safe_dpo: the data has no values \"unsafe\""));
  Batch batch = labelled();
  batch.in.feedback.values["unsafe"] = tests::f64({0, tests::kNone, 0.9, 0.1, 0.6, 0});
  EXPECT_THAT(refusal(SafeDpoOptions{}, batch), HasSubstr("safe_dpo: 1 of 3 comparisons"));
}

}  // namespace
}  // namespace attune::objective
