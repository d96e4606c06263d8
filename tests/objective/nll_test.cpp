#include "attune/objective/nll.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using tests::Batch;
using tests::expect_each;
using tests::numbers;
using tests::three_pairs;

TermOutput run(const Batch& batch, const NllOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Nll, WorkedByHand) {
  // A mean over each winner's own tokens: a long completion weighs no more than a short one.
  const Batch batch = three_pairs();
  const TermOutput out = run(batch, {});
  expect_each(out.loss_I, {10.0 / 5, 20.0 / 10, 5.0 / 4}, 1e-15);
  out.loss_I.sum().backward();
  expect_each(tests::f64(batch.slope()), {-1.0 / 5, -1.0 / 10, -1.0 / 4, 0, 0, 0}, 1e-15);
  EXPECT_NEAR(numbers(out.reward_S)[3], -2, 1e-15);
}

TEST(Nll, AnUnsureWinnerIsBothByTheirChances) {
  Batch batch({-10, -12}, {}, {{0, 1, 0.75}});
  batch.in.policy.count_S = tests::f64({5, 4});
  EXPECT_NEAR(numbers(run(batch, {}).loss_I)[0], 0.75 * 2 + 0.25 * 3, 1e-15);
}

TEST(Nll, BesideDpoItIsTheRegularisedLoss) {
  // dpo + 0.005 nll.
  const Batch batch = three_pairs();
  const std::vector<TermOptions> terms{{.kind = "dpo", .options = DpoOptions{.beta = 0.1}},
                                       {.kind = "nll", .weight = 0.005, .options = NllOptions{}}};
  const ObjectiveOutput out = Objective(terms).run(batch.in, {.pair = 3});
  EXPECT_NEAR(out.loss.item<double>(), (0.630957 + 0.808139 + 0.560605) / 3, 1e-6);
  out.loss.backward();
  EXPECT_NEAR(batch.slope()[0], -0.04726 / 3, 1e-5);
}
}  // namespace
}  // namespace attune::objective
