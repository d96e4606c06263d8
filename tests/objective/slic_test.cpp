#include "attune/objective/slic.h"

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
using tests::slopes;

TEST(Slic, WorkedByHand) {
  // log pi(y_w) - log pi(y_l) = (2, -1.5, 4): 1 less of each is (-1, 2.5, -3).
  const Batch batch = rows();
  expect_numbers(losses(SlicOptions{.sft_weight = 0}, batch), {0, 2.5, 0});
  // Beside it 0.1 (10, 20, 5).
  expect_numbers(losses(SlicOptions{}, batch), {1, 4.5, 0.5});
  expect_numbers(losses(SlicOptions{.delta = 3}, batch), {2, 6.5, 0.5});
  expect_numbers(slopes(SlicOptions{}, batch), {-0.1, -1.1, -0.1, 0, 1, 0});
}

TEST(Slic, HasNoReference) {
  Batch batch = rows();
  batch.in.reference = {};
  EXPECT_FALSE(SlicOptions::kNeeds.reference);
  const TermOutput out = tests::run(SlicOptions{}, batch.in);
  EXPECT_EQ(tests::difference(out.reward_S, batch.in.policy.sum_S), 0);
}

TEST(Slic, IsTheMeanOverWhatTheLabelMayBe) {
  // The other way round: max(0, 1 + 2) + 0.1 * 12 = 4.2.
  EXPECT_NEAR(losses(SlicOptions{}, rows({0.75, 1, 1}))[0], 0.75 * 1 + 0.25 * 4.2, 1e-12);
}

TEST(Slic, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(SlicOptions{.delta = 0}), HasSubstr("slic.delta must be > 0, got 0"));
  EXPECT_THAT(refusal(SlicOptions{.sft_weight = -0.1}), HasSubstr("slic.sft_weight must be >= 0"));
}

}  // namespace
}  // namespace attune::objective
