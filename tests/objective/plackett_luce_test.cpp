#include "attune/objective/plackett_luce.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_each;
using tests::numbers;
using tests::softplus;

TermOutput run(const Batch& batch, const PlackettLuceOptions& options) {
  return tests::run(options, batch.in);
}

// Completions with these z at beta = 0.5, of these prompts and ranks; as many prompts as weights.
Batch ranked(const std::vector<double>& z,
             const std::vector<double>& group,
             const std::vector<double>& rank,
             const std::vector<double>& weight = {1}) {
  std::vector<double> policy = z;
  for (double& x : policy) {
    x = 2 * x - 5;
  }
  Batch batch(policy, std::vector<double>(z.size(), -5), {});
  batch.in.feedback.group_S = tests::i64(group);
  batch.in.feedback.rank_S = tests::i64(rank);
  batch.in.feedback.group_weight_G = tests::f64(weight);
  return batch;
}

TermOutput half(const Batch& batch) {
  return run(batch, {.beta = 0.5});
}

TEST(PlackettLuce, WorkedByHand) {
  // e^z = 2, 1, 4, from best to worst 4, 2, 1: picked with chances 4/7 and 2/3.
  const Batch batch = ranked({std::log(2.0), 0, std::log(4.0)}, {0, 0, 0}, {1, 2, 0});
  const TermOutput out = half(batch);
  expect_each(out.loss_I, {-std::log(4.0 / 7) - std::log(2.0 / 3)}, 1e-14);
  expect_each(out.reward_S, {std::log(2.0), 0, std::log(4.0)}, 1e-14);
  out.loss_I.sum().backward();
  // The best: 0.5 (4/7 - 1); the last: 0.5 (1/7 + 1/3).
  EXPECT_NEAR(batch.slope()[2], 0.5 * (4.0 / 7 - 1), 1e-14);
  EXPECT_NEAR(batch.slope()[1], 0.5 * (1.0 / 7 + 1.0 / 3), 1e-14);
}

TEST(PlackettLuce, OfTwoItIsDpo) {
  Batch batch = ranked({0.3, -0.9}, {0, 0}, {1, 0});
  batch.in.feedback.pairs = tests::comparisons({{1, 0}});
  expect_each(
      half(batch).loss_I, numbers(tests::run(DpoOptions{.beta = 0.5}, batch.in).loss_I), 1e-14);
}

TEST(PlackettLuce, ATieSaysNothingOfTheTwo) {
  // e^z = 3, 5, 2: two that share the first place are each picked before the last.
  expect_each(
      half(ranked({std::log(3.0), std::log(5.0), std::log(2.0)}, {0, 0, 0}, {0, 0, 2})).loss_I,
      {-std::log(3.0 / 5) - std::log(5.0 / 7)},
      1e-14);
  // And two that share the last are not compared.
  const Batch last = ranked({std::log(3.0), std::log(5.0), std::log(2.0)}, {0, 0, 0}, {1, 0, 1});
  expect_each(half(last).loss_I, {-std::log(5.0 / 10)}, 1e-14);
  expect_each(half(ranked({1, 2}, {0, 0}, {0, 0})).loss_I, {0}, 1e-15);
}

TEST(PlackettLuce, PromptsAreApart) {
  const Batch both = ranked({0.3, -0.9, 1.4, 0.2, -0.6}, {0, 0, 1, 1, 1}, {1, 0, 2, 0, 1}, {1, 1});
  const Batch second = ranked({1.4, 0.2, -0.6}, {0, 0, 0}, {2, 0, 1});
  const Batch first = ranked({0.3, -0.9}, {0, 0}, {1, 0});
  expect_each(
      half(both).loss_I, {numbers(half(first).loss_I)[0], numbers(half(second).loss_I)[0]}, 1e-14);
}

TEST(PlackettLuce, WhatIsNotRankedHasNoPart) {
  const Batch batch = ranked({0.3, -0.9, 7, 3, 4}, {0, 0, 0, 1, 1}, {1, 0, -1, -1, -1}, {1, 0});
  const TermOutput out = half(batch);
  expect_each(out.loss_I, {softplus(1.2), 0}, 1e-14);
  out.loss_I.sum().backward();
  EXPECT_EQ(batch.slope()[2], 0);
  EXPECT_EQ(batch.slope()[3], 0);
}

TEST(PlackettLuce, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(PlackettLuceOptions{.beta = 0}),
              HasSubstr("plackett_luce.beta must be > 0"));
  EXPECT_EQ(tests::refusal(PlackettLuceOptions{.beta = 1e-3}), "no error");
}
}  // namespace
}  // namespace attune::objective
