#include "attune/objective/gdpo.h"

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

TEST(Gdpo, WorkedByHand) {
  // beta (2 p - 1) D = 0.1 (0.8 * 1.5, 0, -0.4 * 3) = (0.12, 0, -0.12).
  const Batch batch = rows({0.9, 0.5, 0.3});
  expect_numbers(losses(GdpoOptions{.beta = 0.1}, batch),
                 {logistic(0.12), std::log(2.0), logistic(-0.12)});
  expect_numbers(slopes(GdpoOptions{.beta = 0.1}, batch),
                 {-0.08 * sigmoid(-0.12),
                  0,
                  0.04 * sigmoid(0.12),
                  0.08 * sigmoid(-0.12),
                  0,
                  -0.04 * sigmoid(0.12)});
}

TEST(Gdpo, OnHardLabelsIsDpo) {
  expect_numbers(losses(GdpoOptions{}, rows({1, 0, 1})), losses(DpoOptions{}, rows({1, 0, 1})));
}

TEST(Gdpo, KeepsPushingWhereASoftLabelStops) {
  // D = 40, beta = 0.1: z = 4, past logit 0.9 = 2.2.
  const Batch there({0, -40}, {0, 0}, {{0, 1, 0.9}});
  EXPECT_LT(slopes(GdpoOptions{}, there)[0], 0);
  const Batch again({0, -40}, {0, 0}, {{0, 1, 0.9}});
  EXPECT_GT(slopes(DpoOptions{}, again)[0], 0);
}

TEST(Gdpo, RefusesABetaThatIsNotAbove0) {
  EXPECT_THAT(refusal(GdpoOptions{.beta = 0}), HasSubstr("gdpo.beta must be > 0, got 0"));
  EXPECT_THAT(refusal(GdpoOptions{.beta = NAN}), HasSubstr("gdpo.beta"));
}

}  // namespace
}  // namespace attune::objective
