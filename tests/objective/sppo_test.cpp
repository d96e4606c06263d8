#include "attune/objective/sppo.h"

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

TEST(Sppo, WorkedByHand) {
  // 1 / (2 beta) = 5: ((1 - 5)^2 + (-0.5 + 5)^2) / 2 = (16 + 20.25) / 2, and so on.
  expect_numbers(losses(SppoOptions{.beta = 0.1}, rows()), {18.125, 36, 12.5});
  expect_numbers(slopes(SppoOptions{.beta = 0.1}, rows()), {-4, -6, -3, 4.5, 6, 4});
}

TEST(Sppo, AimsAtTheChanceToWin) {
  // Targets (3, 1, 4.5) and their negatives: ((1 - 3)^2 + (-0.5 + 3)^2) / 2 = 5.125.
  expect_numbers(losses(SppoOptions{.beta = 0.1}, rows({0.8, 0.6, 0.95})), {5.125, 4, 9.25});
  EXPECT_NEAR(slopes(SppoOptions{.beta = 0.1}, rows({0.8, 0.6, 0.95}))[0], -2, 1e-12);
}

TEST(Sppo, HardTargetsRoundTheChance) {
  const SppoOptions hard{.beta = 0.1, .targets = "hard"};
  expect_numbers(losses(hard, rows({0.8, 0.6, 0.95})), losses(SppoOptions{.beta = 0.1}, rows()));
  // A tie aims at h = 0: ((-1)^2 + 1^2) / 2. Below 1/2 the loser is the likelier side.
  expect_numbers(losses(hard, rows({0.2, 0.5, 1})), {(36 + 30.25) / 2, 1, 12.5});
}

TEST(Sppo, ReadsTheChancesOfAColumn) {
  Batch batch = rows();
  batch.in.feedback.values["wins"] = tests::f64({0.8, 0.6, 0.95, 0.3, 0.4, 0.05});
  const SppoOptions options{.beta = 0.1, .targets = "column", .win_rate = "wins"};
  // The first loser aims at -2: ((1 - 3)^2 + (-0.5 + 2)^2) / 2.
  expect_numbers(losses(options, batch), {3.125, 4, 9.25});
  EXPECT_EQ(options.columns(), std::vector<std::string>{"wins"});
  EXPECT_TRUE(SppoOptions{}.columns().empty());
}

TEST(Sppo, RefusesAColumnThatIsMissingOrHasHoles) {
  const SppoOptions options{.targets = "column"};
  EXPECT_THAT(refusal(options), HasSubstr("sppo: the data has no values \"win_rate\""));
  Batch batch = rows();
  batch.in.feedback.values["win_rate"] = tests::f64({0.8, 0.6, 0.95, tests::kNone, 0.4, 0.05});
  EXPECT_THAT(refusal(options, batch), HasSubstr("sppo: 1 of 3 comparisons"));
}

TEST(Sppo, RefusesChancesOutOfBounds) {
  const auto refused = [](const std::vector<double>& chances) {
    Batch batch = rows();
    batch.in.feedback.values["wins"] = tests::f64(chances);
    return refusal(SppoOptions{.targets = "column", .win_rate = "wins"}, batch);
  };
  EXPECT_EQ(refused({0, 0.6, 1, 0.3, 0.4, 0.05}), "no error");
  EXPECT_EQ(refused({0.8, 60, 0.95, 0.3, 40, 0.05}),
            "sppo: values \"wins\" must be chances in [0, 1], got 60 (and 1 more). Divide "
            "percentages by 100");
  EXPECT_THAT(refused({0.8, 0.6, 0.95, 0.3, 0.4, -0.25}), HasSubstr("got -0.25"));
}

TEST(Sppo, RefusesOptionsOutOfBounds) {
  EXPECT_THAT(refusal(SppoOptions{.beta = 0}), HasSubstr("sppo.beta must be > 0"));
  EXPECT_THAT(refusal(SppoOptions{.targets = "soft"}), HasSubstr("sppo.targets"));
}

}  // namespace
}  // namespace attune::objective
