#include "attune/objective/hinge.h"

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

TEST(Hinge, WorkedByHand) {
  // z = 0.1 (1.5, -2, 3) = (0.15, -0.2, 0.3), loss = 1 - z, slope -beta inside the margin.
  const Batch batch = rows();
  expect_numbers(losses(HingeOptions{.beta = 0.1}, batch), {0.85, 1.2, 0.7});
  expect_numbers(slopes(HingeOptions{.beta = 0.1}, batch), {-0.1, -0.1, -0.1, 0.1, 0.1, 0.1});
}

TEST(Hinge, LeavesAPairPastTheMarginAlone) {
  // z = 0.5 (1.5, -2, 3) = (0.75, -1, 1.5).
  const Batch batch = rows();
  expect_numbers(losses(HingeOptions{.beta = 0.5}, batch), {0.25, 2, 0});
  expect_numbers(slopes(HingeOptions{.beta = 0.5}, batch), {-0.5, -0.5, 0, 0.5, 0.5, 0});
}

TEST(Hinge, IsTheMeanOverWhatTheLabelMayBe) {
  // 0.8 (1 - 0.15) + 0.2 (1 + 0.15), and at 1/2 no slope.
  expect_numbers(losses(HingeOptions{.beta = 0.1}, rows({0.8, 0.5, 0})), {0.91, 1, 1.3});
  EXPECT_NEAR(slopes(HingeOptions{.beta = 0.1}, rows({0.8, 0.5, 0}))[1], 0, 1e-15);
}

TEST(Hinge, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(HingeOptions{.beta = 0}), HasSubstr("hinge.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(HingeOptions{.beta = NAN}), HasSubstr("hinge.beta"));
}

}  // namespace
}  // namespace attune::objective
