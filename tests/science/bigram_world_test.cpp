// The exact numbers of the bigram world, against sums over every completion.
#include "bench/science/bigram_world.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::science {
namespace {

const WorldOptions kFixedLength{.vocabulary = 3, .prompts = 2, .max_tokens = 5};
const WorldOptions kEnding{.vocabulary = 3, .prompts = 2, .max_tokens = 5, .mean_tokens = 2.5};

// Every completion of a prompt, each once.
std::vector<Completion> all_completions(const BigramWorld& world, int prompt) {
  std::vector<Completion> open{{.prompt = prompt}}, done;
  for (int t = 0; t < world.options().max_tokens; ++t) {
    std::vector<Completion> longer;
    for (const Completion& begun : open) {
      for (int token = 0; token < world.options().vocabulary; ++token) {
        Completion next = begun;
        next.tokens.push_back(token);
        (world.ends(token) ? done : longer).push_back(next);
      }
    }
    open = longer;
  }
  done.insert(done.end(), open.begin(), open.end());
  return done;
}

// A policy that is not the reference.
Policy other_policy(const BigramWorld& world) {
  const BigramWorld another(world.options(), /*seed=*/99);
  return world.policy(another.state_logits(), another.prompt_logits());
}

Exact enumerated(const BigramWorld& world, const Policy& policy) {
  Exact sum;
  double variance = 0;
  const int X = world.options().prompts;
  for (int x = 0; x < X; ++x) {
    double mass = 0, reward = 0, square = 0;
    for (const Completion& y : all_completions(world, x)) {
      const double logp = world.logp(policy, y);
      const double p = std::exp(logp);
      mass += p;
      reward += p * world.reward(y);
      square += p * world.reward(y) * world.reward(y);
      sum.kl += p * (logp - world.logp(world.reference(), y)) / X;
      sum.tokens += p * static_cast<double>(y.tokens.size()) / X;
    }
    EXPECT_NEAR(mass, 1, 1e-12);
    sum.reward += reward / X;
    variance += (square - reward * reward) / X;
  }
  sum.reward_std = std::sqrt(variance);
  return sum;
}

TEST(BigramWorld, DynamicProgrammingAgreesWithSumsOverEveryCompletion) {
  for (const WorldOptions& options : {kFixedLength, kEnding}) {
    const BigramWorld world(options, /*seed=*/7);
    for (const Policy& policy : {world.reference(), other_policy(world), world.optimum(0.7)}) {
      const Exact want = enumerated(world, policy);
      const Exact got = world.exact(policy);
      EXPECT_NEAR(got.reward, want.reward, 1e-12);
      EXPECT_NEAR(got.reward_std, want.reward_std, 1e-12);
      EXPECT_NEAR(got.kl, want.kl, 1e-12);
      EXPECT_NEAR(got.tokens, want.tokens, 1e-12);
    }
  }
}

TEST(BigramWorld, TheOptimumIsTheClosedFormOfEveryCompletion) {
  // log pi* = log ref + r / beta - log Z(x) (Rafailov et al. 2023, eq. 4).
  for (const WorldOptions& options : {kFixedLength, kEnding}) {
    const BigramWorld world(options, /*seed=*/11);
    const double beta = 0.3;
    const Policy best = world.optimum(beta);
    for (int x = 0; x < options.prompts; ++x) {
      const std::vector<Completion> all = all_completions(world, x);
      double z = 0;
      for (const Completion& y : all) {
        z += std::exp(world.logp(world.reference(), y) + world.reward(y) / beta);
      }
      for (const Completion& y : all) {
        const double want = world.logp(world.reference(), y) + world.reward(y) / beta - std::log(z);
        EXPECT_NEAR(world.logp(best, y), want, 1e-10);
      }
    }
  }
}

TEST(BigramWorld, RewardAndLengthAreWhatTheOptionsAskFor) {
  const BigramWorld world(
      {.vocabulary = 13, .prompts = 5, .max_tokens = 23, .mean_tokens = 7.2, .reward_std = 1.7},
      /*seed=*/3);
  const Exact reference = world.exact(world.reference());
  EXPECT_NEAR(reference.tokens, 7.2, 1e-9);
  EXPECT_NEAR(reference.reward_std, 1.7, 1e-9);
  EXPECT_NEAR(reference.kl, 0, 1e-12);
}

TEST(BigramWorld, SamplesHaveTheMeansOfThePolicy) {
  const BigramWorld world(kEnding, /*seed=*/5);
  const Policy policy = other_policy(world);
  RandomStream random(17);
  constexpr int kDraws = 40000;
  double reward = 0, tokens = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Completion y = world.sample(policy, i % 2, random);
    reward += world.reward(y) / kDraws;
    tokens += static_cast<double>(y.tokens.size()) / kDraws;
  }
  const Exact want = world.exact(policy);
  // Four standard errors; a length of 1 to 5 deviates by 2 at most.
  EXPECT_NEAR(reward, want.reward, 4 * want.reward_std / std::sqrt(kDraws));
  EXPECT_NEAR(tokens, want.tokens, 4 * 2 / std::sqrt(kDraws));
}

TEST(BigramWorld, TheDivergenceAlongACompletionIsThatOfItsRows) {
  const BigramWorld world(kFixedLength, /*seed=*/5);
  const Policy policy = other_policy(world);
  const Completion y{.prompt = 1, .tokens = {2, 0}};
  double want = 0;
  for (const int state : {world.start(), 2}) {
    const double* ref = world.row(world.reference(), 0, 1, state);
    const double* ours = world.row(policy, 0, 1, state);
    for (int a = 0; a < 3; ++a) {
      want += std::exp(ref[a]) * (ref[a] - ours[a]);
    }
  }
  EXPECT_NEAR(world.divergence(policy, y), want, 1e-12);
}

TEST(Frontier, NoPolicyLiesAboveIt) {
  const BigramWorld world(kFixedLength, /*seed=*/23);
  const Frontier frontier(world);
  const double start = world.exact(world.reference()).reward;
  for (const double beta : {0.05, 0.3, 0.77, 2.9, 31.0}) {
    const Exact best = world.exact(world.optimum(beta));
    // Interpolated between other betas: a little below the true curve.
    EXPECT_NEAR(frontier.gain_at(best.kl), best.reward - start, 0.004 * (best.reward - start));
  }
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const BigramWorld another(kFixedLength, seed);
    const Exact some = world.exact(world.policy(another.state_logits(), another.prompt_logits()));
    EXPECT_LT(some.reward - start, frontier.gain_at(some.kl));
  }
}

}  // namespace
}  // namespace attune::science
