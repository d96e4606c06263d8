#include "attune/objective/dpo.h"

#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/io/json.h"

#include "tests/objective/support.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::numbers;

TermOutput run(const Batch& batch, const DpoOptions& options) {
  return tests::run(options, batch.in);
}

TEST(Dpo, WorkedByHand) {
  // h = (-10 + 11, -12 + 11.5) = (1, -0.5), z = 0.1 * 1.5 = 0.15, loss = log(1 + e^-0.15).
  const Batch batch({-10, -12}, {-11, -11.5}, {{0, 1}});
  const TermOutput out = run(batch, {.beta = 0.1});
  EXPECT_NEAR(numbers(out.loss_I)[0], std::log1p(std::exp(-0.15)), 1e-15);
  EXPECT_NEAR(numbers(out.loss_I)[0], 0.620957, 1e-6);
  EXPECT_NEAR(numbers(out.reward_S)[0], 0.1, 1e-15);
  EXPECT_NEAR(numbers(out.reward_S)[1], -0.05, 1e-15);
}

TEST(Dpo, APolicyThatIsItsReferenceLosesLogTwo) {
  const Batch batch({-10, -12}, {-10, -12}, {{0, 1, 1}, {1, 0, 0.3}});
  for (const double beta : {0.01, 0.1, 5.0}) {
    for (const double loss : numbers(run(batch, {.beta = beta, .label_smoothing = 0.2}).loss_I)) {
      EXPECT_NEAR(loss, std::log(2.0), 1e-15);
    }
  }
}

// tests/golden/terms.py, worked in 60 digits; |z| passes 1e4.
TEST(Dpo, EqualsTheGoldenRows) {
  const auto file = io::read_json(tests::golden("dpo_terms.json"));
  int rows = 0;
  for (const char* const list : {"named", "random"}) {
    for (const auto& row : file.at(list)) {
      SCOPED_TRACE(row.dump());
      const auto x = [&](const char* key) { return row.at(key).get<double>(); };
      const Batch batch({x("lp_w"), x("lp_l")}, {x("rf_w"), x("rf_l")}, {{0, 1, x("p")}});
      const TermOutput out =
          run(batch, {.beta = x("beta"), .label_smoothing = x("label_smoothing")});
      const auto near = [](double got, double want) {
        EXPECT_NEAR(got, want, 1e-12 * std::max(1.0, std::abs(want)));
      };
      near(numbers(out.loss_I)[0], x("loss"));
      near(numbers(out.reward_S)[0], x("reward_w"));
      near(numbers(out.reward_S)[1], x("reward_l"));
      out.loss_I.sum().backward();
      const std::vector<double> slope = batch.slope();
      near(slope[0], x("d_lp_w"));
      near(slope[1], x("d_lp_l"));
      ++rows;
    }
  }
  EXPECT_EQ(rows, 209);
}

TEST(Dpo, AnswersToTheProbability) {
  // At z = 0 the slope is beta (1/2 - p): none at 1/2, and the other way round below it.
  const auto slope = [](double p) {
    const Batch batch({-3, -3}, {-3, -3}, {{0, 1, p}});
    run(batch, {.beta = 2}).loss_I.sum().backward();
    return batch.slope()[0];
  };
  EXPECT_NEAR(slope(1), -1, 1e-15);
  EXPECT_NEAR(slope(0.5), 0, 1e-15);
  EXPECT_NEAR(slope(0.25), 0.5, 1e-15);
  EXPECT_NEAR(slope(0), 1, 1e-15);
}

TEST(Dpo, RefusesOptionsOutOfBounds) {
  const Batch batch({-1, -2}, {-1, -2}, {{0, 1}});
  const auto message = [&](const DpoOptions& options) {
    return tests::error_of([&] { run(batch, options); });
  };
  EXPECT_THAT(message({.beta = 0}), HasSubstr("dpo.beta must be > 0, got 0"));
  EXPECT_THAT(message({.beta = -1}), HasSubstr("dpo.beta must be > 0, got -1"));
  EXPECT_THAT(message({.beta = NAN}), HasSubstr("dpo.beta"));
  EXPECT_THAT(message({.label_smoothing = 0.5}), HasSubstr("dpo.label_smoothing"));
  EXPECT_THAT(message({.label_smoothing = -0.1}), HasSubstr("dpo.label_smoothing"));
  EXPECT_EQ(message({.beta = 0.1, .label_smoothing = 0.49}), "no error");
}

}  // namespace
}  // namespace attune::objective
