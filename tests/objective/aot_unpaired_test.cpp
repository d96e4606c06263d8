#include "attune/objective/aot_unpaired.h"

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

TermOutput run(const Batch& batch, const AotUnpairedOptions& options) {
  return tests::run(options, batch.in);
}

TEST(AotUnpaired, WorkedByHand) {
  // Sorted h: desirable (-1, 1, 2), undesirable (-1, -0.5, 1): differences 0, 1.5, 1.
  const Batch batch = tests::six_labels();
  const TermOutput out = run(batch, {.beta = 0.1});
  const double want = (softplus(0) + softplus(-0.15) + softplus(-0.1)) / 3;
  expect_each(out.loss_I, std::vector<double>(6, want), 1e-12);
  EXPECT_NEAR(want, (0.693147 + 0.620957 + 0.644397) / 3, 1e-6);  // another program's
  out.loss_I.mean().backward();
  // h_1 = 2 stands against h = 1, and so on.
  EXPECT_NEAR(batch.slope()[2], -0.1 * sigmoid(-0.1) / 3, 1e-15);
  EXPECT_NEAR(batch.slope()[4], 0.1 * sigmoid(-0.1) / 3, 1e-15);
  EXPECT_NEAR(batch.slope()[0], -0.1 * sigmoid(-0.15) / 3, 1e-15);
  EXPECT_NEAR(batch.slope()[3], 0.1 * sigmoid(-0.15) / 3, 1e-15);
  EXPECT_NEAR(batch.slope()[1], -0.1 * 0.5 / 3, 1e-15);
  EXPECT_NEAR(batch.slope()[5], 0.1 * 0.5 / 3, 1e-15);
}

TEST(AotUnpaired, OtherNumbersAndWeightsAreMatchedByTheirShares) {
  // Desirable h = 2 and 0 with weights 3 and 1; undesirable 1, 0.5 and -1 with 1, 1 and 3. From
  // below: 0 against -1 for 1/4, 2 against -1 for 3/5 - 1/4, 2 against 0.5 and 1 for 1/5 each.
  Batch batch({2, 0, 1, 0.5, -1}, {0, 0, 0, 0, 0}, {});
  tests::set_labels(batch, {1, 1, -1, -1, -1}, {3, 1, 1, 1, 3});
  const double want =
      0.25 * softplus(-0.5) + 0.35 * softplus(-1.5) + 0.2 * softplus(-0.75) + 0.2 * softplus(-0.5);
  EXPECT_NEAR(numbers(run(batch, {.beta = 0.5}).loss_I)[0], want, 1e-12);
}

TEST(AotUnpaired, AWeightIsSoManyCopies) {
  Batch weighted({2, 0, 1, 0.5}, {0, 0, 0, 0}, {});
  tests::set_labels(weighted, {1, 1, -1, -1}, {2, 1, 1, 0});
  Batch copied({2, 2, 0, 1}, {0, 0, 0, 0}, {});
  tests::set_labels(copied, {1, 1, 1, -1});
  EXPECT_NEAR(numbers(run(weighted, {}).loss_I)[0], numbers(run(copied, {}).loss_I)[0], 1e-14);
}

TEST(AotUnpaired, TiedCompletionsAreOneTogetherInAnyOrder) {
  // Desirable 1 and 1, undesirable 0 and -1: each of the tied stands half against either.
  Batch batch({1, 1, 0, -1}, {0, 0, 0, 0}, {});
  tests::set_labels(batch, {1, 1, -1, -1});
  const TermOutput out = run(batch, {.beta = 1});
  EXPECT_NEAR(numbers(out.loss_I)[0], (softplus(-1) + softplus(-2)) / 2, 1e-14);
  out.loss_I.mean().backward();
  EXPECT_NEAR(batch.slope()[0], -(sigmoid(-1) + sigmoid(-2)) / 4, 1e-14);
  EXPECT_EQ(batch.slope()[0], batch.slope()[1]);
}

TEST(AotUnpaired, ItsGradientIsThatOfFiniteDifferences) {
  const std::vector<double> h{2, 0.1, 1, 0.5, -1};
  const auto of = [](const std::vector<double>& at) {
    Batch batch(at, {0, 0, 0, 0, 0}, {});
    tests::set_labels(batch, {1, 1, -1, -1, -1}, {3, 1, 1, 1, 3});
    return batch;
  };
  const Batch batch = of(h);
  run(batch, {.beta = 2}).loss_I.mean().backward();
  for (size_t i = 0; i < h.size(); ++i) {
    const auto moved = [&](double move) {
      std::vector<double> x = h;
      x[i] += move;
      return numbers(run(of(x), {.beta = 2}).loss_I)[0];
    };
    EXPECT_NEAR(batch.slope()[i], (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-8) << i;
  }
}

TEST(AotUnpaired, AnEmptySideSaysNothing) {
  Batch batch({-3, -4}, {-3, -3.5}, {});
  tests::set_labels(batch, {1, 1});
  const TermOutput out = run(batch, {});
  expect_each(out.loss_I, {0, 0}, 0);
  out.loss_I.sum().backward();
  expect_each(tests::f64(batch.slope()), {0, 0}, 0);
}

TEST(AotUnpaired, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(tests::refusal(AotUnpairedOptions{.beta = 0}),
              HasSubstr("aot_unpaired.beta must be > 0"));
  EXPECT_EQ(tests::refusal(AotUnpairedOptions{.beta = 1e-3}), "no error");
}
}  // namespace
}  // namespace attune::objective
