// The fixed points of the kinds over pairs that have one in closed form, in f32: trained to the end
// on a bandit with known rewards, in exact expectation.
#include <algorithm>
#include <cmath>

#include "tests/objective/pair_bandit.h"

namespace attune::objective {
namespace {

using tests::expect_numbers;
using tests::Pair;
using tests::pair_bandit::all_pairs;
using tests::pair_bandit::kArms;
using tests::pair_bandit::kReward;
using tests::pair_bandit::optimum;
using tests::pair_bandit::preferred;
using tests::pair_bandit::trained;
using tests::pair_bandit::Training;

constexpr double kWithin = 1e-4;
constexpr int kSteps = 1500;

Training in_f32(std::function<void(TermInput&)> more = [](TermInput&) {}) {
  return {.dtype = at::kFloat, .steps = kSteps, .more = std::move(more)};
}

// h of each arm.
std::vector<double> log_ratios(std::vector<double> log_policy) {
  const std::vector<double> reference =
      tests::pair_bandit::normalised(tests::pair_bandit::kArmReference);
  for (size_t i = 0; i < kArms; ++i) {
    log_policy[i] -= reference[i];
  }
  return log_policy;
}

TEST(FixedPointOfPairs, RobustOnFlippedLabelsIsDpoOnTrueOnes) {
  const double e = 0.2;
  const RobustOptions options{.beta = 1, .label_smoothing = e};
  expect_numbers(trained(all_pairs(/*soft=*/false, e), options, in_f32()), optimum(1), kWithin);
}

TEST(FixedPointOfPairs, EveryDivergenceHasItsOwnOptimum) {
  // beta f'(pi / pi_ref) - r is the same for every arm.
  struct Case {
    const char* divergence;
    double (*slope)(double u);
  };
  for (const Case& one : {Case{"forward_kl", [](double u) { return -1 / u; }},
                          Case{"js", [](double u) { return std::log(2 * u / (1 + u)); }},
                          Case{"alpha", [](double u) { return 2 * (1 - 1 / std::sqrt(u)); }}}) {
    SCOPED_TRACE(one.divergence);
    const double beta = 1.5;
    const FDpoOptions options{.beta = beta, .divergence = one.divergence, .alpha = 0.5};
    const std::vector<double> h = log_ratios(trained(all_pairs(false), options, in_f32()));
    std::vector<double> rest;
    for (size_t i = 0; i < kArms; ++i) {
      rest.push_back(beta * one.slope(std::exp(h[i])) - kReward[i]);
    }
    const auto [least, most] = std::minmax_element(rest.begin(), rest.end());
    EXPECT_LT(*most - *least, kWithin);
  }
}

TEST(FixedPointOfPairs, RDpoTakesLengthOutOfTheReward) {
  const std::vector<double> count{3, 11, 7, 2, 5};
  const RDpoOptions options{.beta = 1, .alpha = 0.1};
  const Training training = in_f32([&](TermInput& in) { in.policy.count_S = tests::f64(count); });
  std::vector<double> reward = kReward;
  for (size_t i = 0; i < kArms; ++i) {
    reward[i] -= 0.1 * count[i];
  }
  expect_numbers(trained(all_pairs(false), options, training), optimum(1, reward), kWithin);
}

TEST(FixedPointOfPairs, ModpoReachesTheOptimumOfTheWeightedRewards) {
  const std::vector<double> other{-0.6, 0.8, 0.3, -1.2, 0.5};
  const ModpoOptions options{.beta = 1, .own_weight = 0.6, .others = {{"other", "0.4"}}};
  const Training training =
      in_f32([&](TermInput& in) { in.feedback.values["other"] = tests::f64(other); });
  std::vector<double> reward;
  for (size_t i = 0; i < kArms; ++i) {
    reward.push_back(0.6 * kReward[i] + 0.4 * other[i]);
  }
  expect_numbers(trained(all_pairs(false), options, training), optimum(1, reward), kWithin);
}

TEST(FixedPointOfPairs, IpoIsTheLeastSquaresFitOfThePreferences) {
  // h_i - h_j -> (p_ij - 1/2) / tau: with every pair there, h_i is the mean over j of that.
  const double tau = 0.5;
  std::vector<double> h(kArms, 0);
  for (int64_t i = 0; i < kArms; ++i) {
    for (int64_t j = 0; j < kArms; ++j) {
      h[static_cast<size_t>(i)] += (preferred(i, j) - 0.5) / tau / kArms;
    }
  }
  const IpoOptions options{.tau = tau, .average = "sum"};
  for (const bool soft : {false, true}) {
    expect_numbers(
        trained(all_pairs(soft), options, in_f32()), tests::pair_bandit::tilted(h), kWithin);
  }
}

TEST(FixedPointOfPairs, TiesReachTheOptimumOfBothModels) {
  for (const char* const model : {"davidson", "rao_kupper"}) {
    SCOPED_TRACE(model);
    std::vector<Pair> pairs;
    for (int64_t i = 0; i < kArms; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        // Strengths e^r. Rao and Kupper: a factor of 3 on the other side. Davidson: nu = 1.
        const double a = std::exp(kReward[static_cast<size_t>(i)]);
        const double b = std::exp(kReward[static_cast<size_t>(j)]);
        const bool davidson = std::string_view(model) == "davidson";
        const double all = a + b + 2 * std::sqrt(a * b);
        const double win = davidson ? a / all : a / (a + 3 * b);
        const double lose = davidson ? b / all : b / (b + 3 * a);
        pairs.push_back({i, j, 1, win});
        pairs.push_back({j, i, 1, lose});
        pairs.push_back({i, j, 0.5, 1 - win - lose});
      }
    }
    expect_numbers(
        trained(pairs, TiesOptions{.beta = 1, .model = model}, in_f32()), optimum(1), kWithin);
  }
}

TEST(FixedPointOfPairs, NcaRestsEachCompletionAtItsOwnRate) {
  // Free log-probs: sigmoid(r) = p / (p + 1/2), so r = log 2 p, for both sides of one pair.
  Training training = in_f32();
  training.normalise = false;
  std::vector<double> h = log_ratios(trained({{0, 1, 0.8, 1}}, NcaOptions{.beta = 0.5}, training));
  h.resize(2);
  expect_numbers(h, {std::log(1.6) / 0.5, std::log(0.4) / 0.5}, kWithin);
}

TEST(FixedPointOfPairs, ExoReachesTheOptimumOfDpo) {
  const ExoOptions options{.beta = 1, .label_smoothing = 1e-6};
  expect_numbers(trained(all_pairs(/*soft=*/true), options, in_f32()), optimum(1), kWithin);
}

TEST(FixedPointOfPairs, RewardAwareReachesTheOptimumOfTheScores) {
  const Training training =
      in_f32([](TermInput& in) { in.feedback.score_S = tests::f64(kReward); });
  for (const char* const form : {"kl_bwd", "squared"}) {
    SCOPED_TRACE(form);
    const RewardAwareOptions options{.beta = 1, .eta = 0.5, .form = form};
    expect_numbers(trained(all_pairs(false), options, training), optimum(2), kWithin);
  }
}

}  // namespace
}  // namespace attune::objective
