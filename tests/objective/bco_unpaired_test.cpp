#include "attune/objective/bco_unpaired.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_each;
using tests::numbers;
using tests::sigmoid;
using tests::softplus;

TermOutput run(const Batch& batch, const BcoUnpairedOptions& options) {
  return tests::run(options, batch.in);
}

// Desirable h = 1, undesirable h = -0.5.
Batch two(std::vector<double> label = {1, -1}, std::vector<double> weight = {1, 1}) {
  Batch batch({-10, -12}, {-11, -11.5}, {});
  tests::set_labels(batch, label, std::move(weight));
  return batch;
}

TEST(BcoUnpaired, WorkedByHand) {
  // r = 0.5 (1, -0.5), shift = (0.5 - 0.25) / 2 = 0.125: both are 0.375 on their side of it.
  const Batch batch = two();
  const TermOutput out = run(batch, {.beta = 0.5});
  expect_each(out.loss_I, {softplus(-0.375), softplus(-0.375)}, 1e-15);
  EXPECT_NEAR(out.figures.at("shift"), 0.125, 1e-15);
  out.loss_I.sum().backward();  // the shift is held fixed
  EXPECT_NEAR(batch.slope()[0], -0.5 * sigmoid(-0.375), 1e-15);
  EXPECT_NEAR(batch.slope()[1], 0.5 * sigmoid(-0.375), 1e-15);
}

TEST(BcoUnpaired, TheMeansAreOfEachSideByWeight) {
  // Desirable r = (0.1, -0.1, 0.2), undesirable (-0.05, 0.1, -0.1).
  Batch batch = tests::six_labels();
  batch.in.feedback.label_weight_S = tests::f64({1, 2, 1, 1, 1, 3});
  const double desirable = (0.1 - 0.2 + 0.2) / 4;
  const double undesirable = (-0.05 + 0.1 - 0.3) / 5;
  EXPECT_NEAR(run(batch, {}).figures.at("shift"), (desirable + undesirable) / 2, 1e-15);
}

TEST(BcoUnpaired, TheShiftRunsWhileTrainingAndThenStands) {
  TermState state;
  Batch first = two();
  first.in.state = &state;
  run(first, {.beta = 0.5});
  EXPECT_TRUE(state.empty());  // not training: nothing moves
  first.in.training = true;
  run(first, {.beta = 0.5, .momentum = 0.75});
  EXPECT_NEAR(state.at("desirable"), 0.5, 1e-15);
  EXPECT_NEAR(state.at("undesirable"), -0.25, 1e-15);

  Batch second({-10, -12}, {-14, -12}, {});  // h = 4 and 0
  tests::set_labels(second, {1, -1});
  second.in.state = &state;
  const TermOutput held = run(second, {.beta = 0.5, .momentum = 0.75});
  EXPECT_NEAR(held.figures.at("shift"), 0.125, 1e-15);
  second.in.training = true;
  const TermOutput moved = run(second, {.beta = 0.5, .momentum = 0.75});
  const double desirable = 0.75 * 0.5 + 0.25 * 2;
  const double undesirable = 0.75 * -0.25 + 0.25 * 0;
  EXPECT_NEAR(moved.figures.at("shift"), (desirable + undesirable) / 2, 1e-15);
  EXPECT_NEAR(state.at("desirable"), desirable, 1e-15);
  run(second, {.beta = 0.5, .momentum = 0});
  EXPECT_NEAR(state.at("desirable"), 2, 1e-15);
}

TEST(BcoUnpaired, AnEmptySideLeavesItsMeanAlone) {
  EXPECT_NEAR(run(two({1, 0}), {.beta = 0.5}).figures.at("shift"), 0.5, 1e-15);
  EXPECT_NEAR(run(two({0, -1}), {.beta = 0.5}).figures.at("shift"), -0.25, 1e-15);
  EXPECT_EQ(run(two({0, 0}), {.beta = 0.5}).figures.at("shift"), 0);
  TermState state{{"desirable", 3}, {"undesirable", 1}};
  Batch batch = two({1, 0});
  batch.in.state = &state;
  batch.in.training = true;
  run(batch, {.beta = 0.5, .momentum = 0.5});
  EXPECT_NEAR(state.at("desirable"), 1.75, 1e-15);
  EXPECT_EQ(state.at("undesirable"), 1);
}

TEST(BcoUnpaired, OverWinnersAndLosersItIsThePairsLoss) {
  const Batch batch = tests::six_labels();
  const TermOutput out = run(batch, {});
  const TermOutput pair = tests::run(BcoOptions{.shift = out.figures.at("shift")}, batch.in);
  const std::vector<double> each = numbers(out.loss_I);
  expect_each(pair.loss_I, {each[0] + each[3], each[1] + each[4], each[2] + each[5]}, 1e-14);
}

TEST(BcoUnpaired, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(BcoUnpairedOptions{.beta = 0}),
              HasSubstr("bco_unpaired.beta must be > 0"));
  EXPECT_THAT(tests::refusal(BcoUnpairedOptions{.momentum = 1}),
              HasSubstr("bco_unpaired.momentum must be < 1"));
  EXPECT_THAT(tests::refusal(BcoUnpairedOptions{.momentum = -0.1}),
              HasSubstr("bco_unpaired.momentum must be >= 0"));
}
}  // namespace
}  // namespace attune::objective
