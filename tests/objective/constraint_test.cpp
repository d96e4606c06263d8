#include "attune/objective/constraint.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/relu.h>

#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::expect_each;
using tests::numbers;

TermOutput run(const Batch& batch, const ConstraintOptions& options) {
  return tests::run(options, batch.in);
}

// Two prompts: three completions that cost 0, 1 and 0.5, and two that cost 0.25 and 1.
Batch two_prompts(const std::vector<double>& policy = {-1, -2, -3, -4, -5},
                  const std::vector<double>& reference = {-1, -2, -3, -4, -5}) {
  Batch batch(policy, reference, {{0, 1}, {3, 4, 0.5, 3}});
  batch.in.feedback.group_S = tests::i64({0, 0, 0, 1, 1});
  batch.in.feedback.mismatched_S = tests::f64({0, 0, 0, 0, 0}).to(at::kBool);
  batch.in.feedback.values["cost"] = tests::f64({0, 1, 0.5, 0.25, 1});
  return batch;
}

TEST(Constraint, WorkedByHand) {
  // e^h = 1, 2 and 1: E = (0 + 2 + 0.5) / 4 = 0.625. The other prompt: e^h = 3 and 1, E = 1.75 / 4.
  const Batch batch = two_prompts({-1, -2 + std::log(2.0), -3, -4 + std::log(3.0), -5});
  const TermOutput out = run(batch, {.budget = 0.5, .dual_start = 4});
  expect_each(out.loss_I, {4 * 0.125, 4 * (0.4375 - 0.5)}, 1e-14);
  EXPECT_EQ(out.figures.at("dual"), 4);
  EXPECT_NEAR(out.figures.at("cost"), (0.625 + 3 * 0.4375) / 4, 1e-14);
  out.loss_I.sum().backward();
  // dual q_k (c_k - E).
  expect_each(tests::f64(batch.slope()),
              {4 * 0.25 * (0 - 0.625),
               4 * 0.5 * (1 - 0.625),
               4 * 0.25 * (0.5 - 0.625),
               4 * 0.75 * (0.25 - 0.4375),
               4 * 0.25 * (1 - 0.4375)},
              1e-14);
}

// What the data says of its own texts is a number: whatever weighs it, it has no slope.
TEST(Constraint, APenaltyOnTheDatasScoresAloneTeachesNothing) {
  const Batch batch = two_prompts();
  const at::Tensor penalty = at::relu(batch.in.feedback.values.at("cost") - 0.5).sum();
  EXPECT_GT(penalty.item<double>(), 0);
  EXPECT_FALSE(penalty.requires_grad());
  (batch.in.policy.sum_S.sum() * 0 + 10 * penalty).backward();
  expect_each(tests::f64(batch.slope()), {0, 0, 0, 0, 0}, 0);

  for (const char* const form : {"off_policy", "relaxed", "score_function"}) {
    SCOPED_TRACE(form);
    const Batch ours = two_prompts();
    run(ours, {.form = form, .dual_start = 1}).loss_I.sum().backward();
    const std::vector<double> slope = ours.slope();
    EXPECT_LT(slope[0], -0.01);  // costs less than the others: up
    EXPECT_GT(slope[1], 0.01);   // costs more: down
    EXPECT_LT(slope[3], -0.01);
    EXPECT_GT(slope[4], 0.01);
  }
}

TEST(Constraint, RelaxedIsThePolicysChoiceAmongTheCompletions) {
  const Batch batch = two_prompts({std::log(0.5), std::log(0.25), std::log(0.25), -4, -4},
                                  {-9, -8, -7, -6, -5});  // the reference has no part
  const TermOutput out = run(batch, {.form = "relaxed", .dual_start = 1});
  expect_each(out.loss_I, {0.375, 0.625}, 1e-14);
}

TEST(Constraint, TheScoreFunctionIsWorkedByHand) {
  // Advantages over the others' mean: 0 - 0.75, 1 - 0.25, 0.5 - 0.5; a third of each.
  const Batch batch = two_prompts({-10, -2, -31, -4, -5});
  const TermOutput out = run(batch, {.form = "score_function", .dual_start = 2});
  expect_each(out.loss_I, {2 * 0.5, 2 * 0.625}, 1e-14);
  out.loss_I.sum().backward();
  expect_each(tests::f64(batch.slope()), {-0.5, 0.5, 0, -0.75, 0.75}, 1e-14);
}

TEST(Constraint, ACompletionAloneIsHeldToTheBudgetItself) {
  Batch batch = two_prompts();
  batch.in.feedback.values["cost"] = tests::f64({tests::kNone, 1, tests::kNone, 0.25, 1});
  run(batch, {.budget = 0.25, .form = "score_function", .dual_start = 1})
      .loss_I.slice(0, 0, 1)
      .sum()
      .backward();
  expect_each(tests::f64(batch.slope()), {0, 0.75, 0, 0, 0}, 1e-15);
}

// Completions in the share that a distribution has of them make its expectations exact.
TEST(Constraint, EveryFormIsTheExactGradientWhereItsAssumptionHolds) {
  // Three answers that cost 0, 1 and 0.4; the policy gives them 0.2, 0.5, 0.3.
  const std::vector<double> cost{0, 1, 0.4}, policy{0.2, 0.5, 0.3}, reference{0.4, 0.4, 0.2};
  const double expected = 0.5 + 0.12;
  struct Form {
    const char* name;
    std::vector<int> answers;  // that were drawn
    double factor;             // K / (K - 1) is the baseline's, of all answers but one's own
  };
  for (const Form& form : {Form{"relaxed", {0, 1, 2}, 1},
                           Form{"off_policy", {0, 0, 1, 1, 2}, 1},
                           Form{"score_function", {0, 0, 1, 1, 1, 1, 1, 2, 2, 2}, 10.0 / 9}}) {
    SCOPED_TRACE(form.name);
    std::vector<double> lp, rf, of_drawn;
    for (const int answer : form.answers) {
      lp.push_back(std::log(policy[answer]));
      rf.push_back(std::log(reference[answer]));
      of_drawn.push_back(cost[answer]);
    }
    Batch batch(lp, rf, {{0, 1}});
    batch.in.feedback.group_S = tests::i64(std::vector<double>(lp.size(), 0));
    batch.in.feedback.mismatched_S = batch.in.feedback.group_S.to(at::kBool);
    batch.in.feedback.values["cost"] = tests::f64(of_drawn);
    const TermOutput out = run(batch, {.form = form.name, .dual_start = 1, .clip = 9});
    EXPECT_NEAR(numbers(out.loss_I)[0], expected, 1e-14);
    out.loss_I.sum().backward();
    std::vector<double> slope(3, 0);
    for (size_t i = 0; i < form.answers.size(); ++i) {
      slope[form.answers[i]] += batch.slope()[i];
    }
    for (int answer = 0; answer < 3; ++answer) {
      EXPECT_NEAR(slope[answer], form.factor * policy[answer] * (cost[answer] - expected), 1e-14);
    }
  }
}

TEST(Constraint, TheCutKeepsEveryCompletionInPlay) {
  // h = 40 and 0: without the cut the second weighs e^-40. Cut at 1: weights e and 1.
  const Batch batch = two_prompts({-1, -2, -3, 36, -5});
  const auto second = [&](double clip) {
    return numbers(run(batch, {.dual_start = 1, .clip = clip}).loss_I)[1];
  };
  const double e = std::exp(1.0);
  EXPECT_NEAR(second(1), (0.25 * e + 1) / (e + 1), 1e-14);
  EXPECT_NEAR(second(100), 0.25, 1e-14);
  run(batch, {.dual_start = 1, .clip = 1}).loss_I.sum().backward();
  EXPECT_NEAR(batch.slope()[3], e / (e + 1) * (0.25 - second(1)), 1e-14);
}

TEST(Constraint, TheDualRisesWhileTheBudgetIsPassedAndFallsToZero) {
  TermState state;
  Batch batch = two_prompts();  // E = 0.5 and, three times as heavy, 0.625
  batch.in.state = &state;
  const double cost = (0.5 + 3 * 0.625) / 4;
  const ConstraintOptions options{.budget = 0.2, .dual_lr = 0.5, .dual_start = 0.1};
  run(batch, options);
  EXPECT_TRUE(state.empty());  // not training
  batch.in.training = true;
  EXPECT_EQ(run(batch, options).figures.at("dual"), 0.1);
  EXPECT_NEAR(state.at("dual"), 0.1 + 0.5 * (cost - 0.2), 1e-14);
  const double before = state.at("dual");
  const TermOutput second = run(batch, options);
  EXPECT_EQ(second.figures.at("dual"), before);
  EXPECT_NEAR(numbers(second.loss_I)[0], before * (0.5 - 0.2), 1e-14);
  EXPECT_NEAR(state.at("dual"), before + 0.5 * (cost - 0.2), 1e-14);
  run(batch, {.budget = 0.9, .dual_lr = 100});
  EXPECT_EQ(state.at("dual"), 0);
  run(batch, {.budget = 0.2, .dual_lr = 0});
  EXPECT_EQ(state.at("dual"), 0);
}

TEST(Constraint, WhatHasNoCostHasNoPart) {
  const double none = tests::kNone;
  Batch batch = two_prompts();
  batch.in.feedback.values["cost"] = tests::f64({0, 1, none, none, none});
  TermState state;
  batch.in.state = &state;
  batch.in.training = true;
  for (const char* const form : {"off_policy", "relaxed", "score_function"}) {
    SCOPED_TRACE(form);
    state = {{"dual", 2}};
    batch.in.policy.sum_S.mutable_grad() = at::Tensor();
    const TermOutput out = run(batch, {.budget = 0.25, .form = form, .dual_lr = 1});
    EXPECT_EQ(numbers(out.loss_I)[1], 0);
    EXPECT_NEAR(state.at("dual"), 2 + out.figures.at("cost") - 0.25, 1e-14);
    out.loss_I.sum().backward();
    expect_each(tests::f64(batch.slope()).slice(0, 2), {0, 0, 0}, 0);
    EXPECT_GT(batch.slope()[1], 0);
  }
  batch.in.feedback.values["cost"] = tests::f64({none, none, none, none, none});
  state = {{"dual", 2}};
  const TermOutput out = run(batch, {});
  expect_each(out.loss_I, {0, 0}, 0);
  EXPECT_EQ(out.figures.count("cost"), 0U);
  EXPECT_EQ(state.at("dual"), 2);
}

TEST(Constraint, ReadsTheColumnThatItIsTold) {
  Batch batch = two_prompts();
  batch.in.feedback.values["harm"] = tests::f64({1, 1, 1, 1, 1});
  const TermOutput out = run(batch, {.column = "harm", .dual_start = 1});
  expect_each(out.loss_I, {1, 1}, 1e-14);
  const std::vector<TermOptions> terms{
      {.kind = "constraint", .options = ConstraintOptions{.column = "cots"}}};
  EXPECT_THAT(
      tests::error_of([&] { (void)Objective(terms).run(batch.in, {.pair = 4}); }),
      HasSubstr("constraint: the data has no values \"cots\"; name the column in data.values"));
  batch.in.feedback.values["harm"] = tests::f64({1, 1});
  EXPECT_THAT(tests::error_of([&] { run(batch, {.column = "harm"}); }),
              HasSubstr("constraint: values \"harm\" must have 5 entries, got 2"));
}

TEST(Constraint, ARuleNeedsNoColumn) {
  // Completions of 2, 3, 5 and of 7, 11 tokens.
  Batch batch = two_prompts();
  batch.in.feedback.values.clear();
  const auto costs = [&](const char* rule) {
    const ConstraintOptions options{
        .rule = rule, .limit = 4, .form = "score_function", .dual_start = 1};
    EXPECT_TRUE(options.columns().empty());
    const std::vector<TermOptions> terms{{.kind = "constraint", .options = options}};
    const Objective objective(terms);
    Objective::State state = objective.initial_state();
    return objective.run(batch.in, {.pair = 4}, &state).figures.at("constraint.cost");
  };
  EXPECT_NEAR(costs("tokens"), (10.0 / 12 + 3 * 18.0 / 8) / 4, 1e-14);
  EXPECT_NEAR(costs("tokens_over"), (0.2 / 3 + 3 * (3.0 / 7 + 7.0 / 11) / 2) / 4, 1e-14);
  run(batch, {.rule = "tokens", .limit = 2, .dual_start = 1}).loss_I.sum().backward();
  EXPECT_LT(batch.slope()[0], -0.1);  // shorter than the prompt's mean: up
  EXPECT_GT(batch.slope()[2], 0.1);
  EXPECT_NEAR(batch.slope()[4], 0.5 * (11 - 9) / 2.0, 1e-14);
}

TEST(Constraint, ALongStrangerCostsNothing) {
  Batch batch({-1, -2, -3, -4, -5, -6}, {-1, -2, -3, -4, -5, -6}, {{0, 1}, {3, 4}});
  batch.in.feedback.group_S = tests::i64({0, 0, 0, 1, 1, 1});
  batch.in.feedback.mismatched_S = tests::f64({0, 0, 1, 0, 0, 1}).to(at::kBool);
  for (const char* const form : {"off_policy", "relaxed", "score_function"}) {
    SCOPED_TRACE(form);
    const TermOutput out =
        run(batch, {.rule = "tokens", .limit = 1, .form = form, .dual_start = 1});
    out.loss_I.sum().backward();
    EXPECT_EQ(batch.slope()[2], 0);  // 5 tokens
    EXPECT_EQ(batch.slope()[5], 0);  // 13
    EXPECT_LT(numbers(out.loss_I)[0], 3);
    EXPECT_LT(numbers(out.loss_I)[1], 11);
  }
}

TEST(Constraint, SeveralBudgetsHaveFiguresOfTheirOwn) {
  Batch batch = two_prompts();
  batch.in.feedback.values["harm"] = tests::f64({1, 1, 1, 3, 3});
  batch.in.feedback.pairs.weight_P = tests::f64({1, 1});
  batch.in.training = true;
  const TermOptions dpo{.kind = "dpo", .options = DpoOptions{}};
  const TermOptions cost{.kind = "constraint",
                         .options = ConstraintOptions{.budget = 0.1, .dual_start = 0.5}};
  const TermOptions harm{
      .kind = "constraint",
      .options = ConstraintOptions{.column = "harm", .dual_lr = 1, .dual_start = 7}};
  const Objective both(std::vector<TermOptions>{dpo, cost, harm});
  Objective::State state = both.initial_state();
  const auto figures = both.run(batch.in, {.pair = 2}, &state).figures;
  EXPECT_EQ(figures.size(), 4U);
  EXPECT_EQ(figures.at("constraint.1.dual"), 0.5);
  EXPECT_EQ(figures.at("constraint.2.dual"), 7);
  EXPECT_NEAR(figures.at("constraint.1.cost"), (0.5 + 0.625) / 2, 1e-14);
  EXPECT_NEAR(figures.at("constraint.2.cost"), 2, 1e-14);
  EXPECT_NEAR(both.run(batch.in, {.pair = 2}, &state).figures.at("constraint.2.dual"), 9, 1e-14);
  const Objective one(std::vector<TermOptions>{dpo, cost});
  EXPECT_EQ(one.run(batch.in, {.pair = 2}).figures.at("constraint.dual"), 0.5);
}

TEST(Constraint, RefusesOptionsOutOfBounds) {
  const auto message = [](const ConstraintOptions& options) { return tests::refusal(options); };
  EXPECT_THAT(message({.budget = NAN}), HasSubstr("constraint.budget"));
  EXPECT_THAT(message({.budget = 1e10}), HasSubstr("constraint.budget"));
  EXPECT_THAT(message({.budget = -1e10}), HasSubstr("constraint.budget"));
  EXPECT_THAT(message({.form = "exact"}), HasSubstr("constraint.form"));
  EXPECT_THAT(message({.dual_lr = -0.1}), HasSubstr("constraint.dual_lr must be >= 0"));
  EXPECT_THAT(message({.dual_start = -0.1}), HasSubstr("constraint.dual_start must be >= 0"));
  EXPECT_THAT(message({.clip = 0}), HasSubstr("constraint.clip must be > 0"));
  EXPECT_EQ(message({.budget = -1, .dual_lr = 0}), "no error");
  EXPECT_THAT(message({.rule = "words"}), HasSubstr("constraint.rule"));
  EXPECT_THAT(message({.limit = -1}), HasSubstr("constraint.limit must be >= 0"));
  EXPECT_EQ(message({.rule = "tokens"}),
            "constraint.rule tokens counts tokens by constraint.limit, which is 0. Set it to 1 or "
            "more");
  EXPECT_THAT(message({.limit = 3}),
              HasSubstr("constraint.limit 3 has no meaning with constraint.rule none"));
  EXPECT_THAT(message({.column = "harm", .rule = "tokens_over", .limit = 3}),
              HasSubstr("constraint.column harm is not read with constraint.rule tokens_over"));
}

}  // namespace
}  // namespace attune::objective
