#include "attune/objective/ipo.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::expect_numbers;
using tests::losses;
using tests::refusal;
using tests::rows;
using tests::slopes;

TEST(Ipo, WorkedByHand) {
  // 1 / (2 tau) = 5 and D = (1.5, -2, 3): (-3.5)^2, 7^2, 2^2. Slope 2 (D - 5).
  const IpoOptions options{.tau = 0.1, .average = "sum"};
  expect_numbers(losses(options, rows()), {12.25, 49, 4});
  expect_numbers(slopes(options, rows()), {-7, -14, -4, 7, 14, 4});
}

TEST(Ipo, MeansAreByTheToken) {
  // D = (1/5 + 0.5/6, -1/10 - 1/9, 2/4 + 1/8) = (0.28333, -0.21111, 0.625).
  const auto square = [](double x) { return x * x; };
  expect_numbers(losses(IpoOptions{}, rows()),
                 {square(17.0 / 60 - 5), square(-19.0 / 90 - 5), square(0.625 - 5)});
  expect_numbers(losses(IpoOptions{}, rows()), {22.246944, 27.155679, 19.140625}, 1e-6);
  EXPECT_NEAR(slopes(IpoOptions{}, rows())[0], -1.886667, 1e-6);
}

TEST(Ipo, PushesBackPastItsTarget) {
  // Target 1 / (2 * 0.5) = 1 and D = 3: slope 2 (3 - 1).
  EXPECT_NEAR(slopes(IpoOptions{.tau = 0.5, .average = "sum"}, rows())[2], 4, 1e-12);
}

TEST(Ipo, ASoftLabelsSlopeIsThatOfItsOwnTarget) {
  // d/dD [p (D - t)^2 + (1 - p) (D + t)^2] = 2 (D - (2 p - 1) t), t = 5, p = 0.8: 2 (1.5 - 3).
  const IpoOptions options{.tau = 0.1, .average = "sum"};
  EXPECT_NEAR(slopes(options, rows({0.8, 1, 1}))[0], -3, 1e-12);
}

TEST(Ipo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(IpoOptions{.tau = 0}), HasSubstr("ipo.tau must be > 0, got 0"));
  EXPECT_THAT(refusal(IpoOptions{.average = "median"}), HasSubstr("ipo.average"));
}

}  // namespace
}  // namespace attune::objective
