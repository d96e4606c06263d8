// What the laboratory found, as far as it holds clearly: small and quick repetitions of the
// experiments whose tables are in docs/PAPERS.md. A seed is a world, its data and their order.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/train/run_options.h"

#include "bench/science/displacement.h"
#include "bench/science/experiments.h"

namespace attune::science {
namespace {

constexpr int kSeeds = 3;

Setting small(FeedbackOptions feedback = {}) {
  feedback.groups = 4000;
  return {.feedback = feedback, .train = {.steps = 600, .groups_per_step = 64, .lr = 0.03}};
}

Outcomes outcomes(const Setting& setting, const std::string& objective) {
  return run_seeds(setting, attune_method(objective, objective), kSeeds);
}

double mean(const Outcomes& list, double Outcome::*value) {
  return over(list, value).mean;
}

double mean_tokens(const Outcomes& list) {
  return over(list, tokens_of).mean;
}

// One prompt's only pair: the first token always wins over the second.
Outcome certain(const std::string& objective) {
  const BigramWorld world({.vocabulary = 2, .prompts = 1, .max_tokens = 1, .logit_std = 0}, 1);
  const std::vector<Group> data{
      {.completions = {{0, {0}}, {0, {1}}}, .comparisons = {{0, 1, 1}}, .labels = {1, -1}}};
  return train(world,
               Frontier(world),
               data,
               attune_method(objective, objective),
               {.steps = 3000, .groups_per_step = 1, .trace_every = 1500});
}

TEST(Laboratory, DpoOnProbabilitiesReachesTheClosedFormWhereTheTablesCanHoldIt) {
  // Completions of one token: the tables hold every policy, so the optimum is pi_ref exp(r / beta).
  const BigramWorld world({.vocabulary = 5, .prompts = 3, .max_tokens = 1}, /*seed=*/2);
  std::vector<Group> data;
  for (int x = 0; x < 3; ++x) {
    Group group{.completions = {}, .comparisons = {}, .labels = std::vector<int>(5, 0)};
    for (int a = 0; a < 5; ++a) {
      group.completions.push_back({x, {a}});
      for (int b = 0; b < a; ++b) {
        const double gap = world.reward({x, {b}}) - world.reward({x, {a}});
        group.comparisons.push_back({b, a, 1 / (1 + std::exp(-gap))});
      }
    }
    data.push_back(group);
  }
  const Outcome outcome = train(world,
                                Frontier(world),
                                data,
                                attune_method("dpo", "{kind: dpo, beta: 0.7}"),
                                {.steps = 2000, .groups_per_step = 3});
  const Policy best = world.optimum(0.7);
  for (int x = 0; x < 3; ++x) {
    for (int a = 0; a < 5; ++a) {
      const Completion y{x, {a}};
      EXPECT_NEAR(world.logp(outcome.policy, y), world.logp(best, y), 1e-4) << x << " " << a;
    }
  }
  EXPECT_NEAR(outcome.efficiency, 1, 1e-3);
}

TEST(Laboratory, EveryKindRaisesTheTrueRewardFromTheStart) {
  Setting setting = small({.completions = 3});
  setting.train.steps = 20;
  for (const std::string_view kind : train::objective_kinds()) {
    SCOPED_TRACE(kind);
    const std::string objective = "{kind: " + std::string(kind) + "}";
    const Outcomes result = run_seeds(setting, attune_method(objective, objective), 1);
    if (kind == "constraint") {
      EXPECT_EQ(result[0].gain, 0) << "the reference keeps to it";
    } else if (kind == "discopop") {
      EXPECT_LT(result[0].gain, 0) << "its slope at the reference has the other sign";
    } else if (kind == "safe_dpo") {
      EXPECT_LT(result[0].gain, 0) << "its column, here the reward, is what to avoid";
    } else {
      EXPECT_GT(result[0].gain, 0);
    }
  }
}

TEST(Laboratory, DpoLiesNearTheFrontierAndFineTuningOnWinnersDoesNot) {
  double kl = INFINITY, least = 1;
  for (const char* beta : {"0.3", "0.5", "1"}) {
    const Outcomes dpo = outcomes(small(), fmt::format("{{kind: dpo, beta: {}}}", beta));
    EXPECT_GT(mean(dpo, &Outcome::efficiency), 0.9) << beta;
    EXPECT_LT(over(dpo, kl_of).mean, kl) << "KL must fall with beta, at " << beta;
    kl = over(dpo, kl_of).mean;
    least = std::min(least, mean(dpo, &Outcome::efficiency));
  }
  EXPECT_LT(mean(outcomes(small(), "{kind: nll}"), &Outcome::efficiency), least - 0.03);
  EXPECT_LT(mean(outcomes(small(), "{kind: kto, beta: 0.3}"), &Outcome::efficiency), least - 0.02);
}

// KTO's estimate of the KL before its cut at 0: the mean log-ratio of answers under other prompts.
double estimate_of(const BigramWorld& world, const Policy& policy, const std::vector<Group>& data) {
  double sum = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    Completion stranger = data[(i + 1) % data.size()].completions[0];
    stranger.prompt = data[i].completions[0].prompt;
    sum += world.logp(policy, stranger) - world.logp(world.reference(), stranger);
  }
  return sum / static_cast<double>(data.size());
}

TEST(Laboratory, KtosEstimateIsZeroOnTheReferencesOwnAnswersAndAboveItOnBetterOnes) {
  const BigramWorld world({}, /*seed=*/3);
  const Frontier frontier(world);
  const TrainOptions steps{.steps = 300, .groups_per_step = 64, .lr = 0.03};
  const auto trained = [&](const std::vector<Group>& data, const std::string& kind) {
    const std::string objective = "{kind: " + kind + ", beta: 0.3}";
    return train(world, frontier, data, attune_method(kind, objective), steps).policy;
  };
  std::vector<Group> data = ask(world, {.groups = 2000}, /*seed=*/3);
  const Policy own = trained(data, "kto");
  EXPECT_LT(estimate_of(world, own, data), -0.1);
  EXPECT_EQ(own.logp, trained(data, "apo_zero_unpaired").logp) << "its anchor was never above 0";

  // Answers of a better policy, all of them liked.
  RandomStream stream(5);
  const Policy better = world.optimum(0.5);
  for (Group& group : data) {
    for (Completion& completion : group.completions) {
      completion = world.sample(better, completion.prompt, stream);
    }
    group.labels.assign(group.labels.size(), 1);
  }
  const Policy liked = trained(data, "kto");
  EXPECT_GT(estimate_of(world, liked, data), 0.1);
  EXPECT_NE(liked.logp, trained(data, "apo_zero_unpaired").logp);
}

TEST(Laboratory, WithThreeFlippedLabelsInTenRobustBeatsDpoBeatsConservativeDpo) {
  const Setting noisy = small({.flipped = 0.3});
  const double robust =
      mean(outcomes(noisy, "{kind: robust, beta: 0.3, label_smoothing: 0.3}"), &Outcome::gain);
  const double dpo = mean(outcomes(noisy, "{kind: dpo, beta: 0.3}"), &Outcome::gain);
  const double conservative =
      mean(outcomes(noisy, "{kind: dpo, beta: 0.3, label_smoothing: 0.3}"), &Outcome::gain);
  EXPECT_GT(robust, 1.3 * dpo);
  EXPECT_GT(dpo, 1.5 * conservative);
}

TEST(Laboratory, RobustWithoutNoiseIsDpoToTheLastBit) {
  const Outcomes robust = outcomes(small(), "{kind: robust, beta: 0.3, label_smoothing: 0}");
  const Outcomes dpo = outcomes(small(), "{kind: dpo, beta: 0.3}");
  EXPECT_EQ(robust[0].policy.logp, dpo[0].policy.logp);
}

TEST(Laboratory, ProbabilitiesTeachMoreThanAnswers) {
  const Outcomes soft = outcomes(small({.soft = true}), "{kind: dpo, beta: 0.3}");
  const Outcomes hard = outcomes(small(), "{kind: dpo, beta: 0.3}");
  EXPECT_GT(ratio(soft, hard, &Outcome::gain).mean, 1.1);
}

TEST(Laboratory, OnCertainPreferencesIpoStopsAndDpoGoesOn) {
  const Outcome ipo = certain("{kind: ipo, tau: 0.5, average: sum}");
  EXPECT_NEAR(ipo.winner_change - ipo.loser_change, 1 / (2 * 0.5), 0.01);
  const Outcome dpo = certain("{kind: dpo, beta: 0.1}");
  const double end = dpo.winner_change - dpo.loser_change;
  EXPECT_GT(end, 1.05 * dpo.trace.back().gain) << "the margin at half of the steps";
  EXPECT_GT(std::exp(dpo.policy.logp[2 * 2]), 0.999);  // the start's row: pi(best)
}

TEST(Laboratory, RDpoShortensUnderLabelsThatFavourLengthAndTheWrongSignDoesNot) {
  Setting biased = small({.length_bonus = 0.25});
  biased.world = {.max_tokens = 24, .mean_tokens = 7.2, .reward_std = 0.8};
  const Outcomes dpo = outcomes(biased, "{kind: dpo, beta: 0.3}");
  const Outcomes right = outcomes(biased, "{kind: r_dpo, beta: 0.3, alpha: 0.25}");
  const Outcomes wrong = run_seeds(biased, wrong_sign_r_dpo(0.3, 0.25), kSeeds);
  EXPECT_GT(mean_tokens(dpo), 1.5 * mean(dpo, &Outcome::winner_tokens));
  EXPECT_LT(mean_tokens(right), 0.75 * mean_tokens(dpo));
  EXPECT_GT(mean_tokens(wrong), mean_tokens(dpo));
  EXPECT_GT(mean(right, &Outcome::gain), mean(dpo, &Outcome::gain));
  EXPECT_GT(mean(dpo, &Outcome::gain), mean(wrong, &Outcome::gain));
}

TEST(Laboratory, TdpoHoldsBackTheDriftOnLosers) {
  const Outcomes dpo = outcomes(small(), "{kind: dpo, beta: 0.3}");
  const Outcomes tdpo = outcomes(small(), "{kind: tdpo, beta: 0.3}");
  EXPECT_LT(ratio(tdpo, dpo, &Outcome::loser_divergence).mean, 0.5);
}

TEST(Laboratory, DpoSinksWinnersThatResembleLosersAndItsRemediesDoNot) {
  const auto moved = [](const std::string& objective) {
    std::vector<double> changes;
    for (uint64_t seed = 0; seed < 10; ++seed) {
      const Displacement one = displace(attune_method(objective, objective), seed);
      EXPECT_GT(one.margin, 0) << objective << " " << seed;
      changes.push_back(one.winner_change);
    }
    return changes;
  };
  const std::vector<double> dpo = moved("{kind: dpo, beta: 0.1}");
  EXPECT_GE(std::count_if(dpo.begin(), dpo.end(), [](double x) { return x < 0; }), 6);
  EXPECT_GE(estimate(moved("{kind: dpop, beta: 0.1, lambda: 50}")).mean, 0);
  EXPECT_GE(estimate(moved("[{kind: dpo, beta: 0.1}, {kind: nll}]")).mean, 0);
}

}  // namespace
}  // namespace attune::science
