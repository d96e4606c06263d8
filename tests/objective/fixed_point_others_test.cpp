// Where training ends, in exact expectation and f32, against what the equations say: terms without
// a reference, from labels, and from rankings. KTO and APO-zero are bounded and have no end: their
// last test says which way they go.
#include <functional>

#include "attune/objective/registry.h"

#include "tests/objective/bandit.h"
#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using tests::Batch;
using tests::normalised;
using tests::Pair;
using tests::sigmoid;
using Numbers = std::vector<double>;

const Numbers kReward{0.7, -1.1, 0.2, 1.3, -0.4};
const Numbers kReference = normalised({-1.2, -2.3, -0.9, -2.9, -1.75});
const Numbers kOnes(5, 1);

// Every ordered pair with the Bradley-Terry probability that its first is preferred as its weight.
std::vector<Pair> bradley_terry() {
  std::vector<Pair> pairs;
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 5; ++j) {
      if (i != j) {
        pairs.push_back({i, j, 1, sigmoid(kReward[i] - kReward[j])});
      }
    }
  }
  return pairs;
}

// The answers of a batch, by their numbers; a batch may have one several times.
struct Scene {
  Batch batch;
  Numbers answer;
  TermState state = {};
};

Scene scene(const std::vector<Pair>& pairs, const Numbers& answer, const Numbers& count) {
  Numbers reference;
  for (const double a : answer) {
    reference.push_back(kReference[static_cast<size_t>(a)]);
  }
  Scene made{.batch = Batch(reference, reference, pairs), .answer = answer};
  made.batch.in.reference.sum_S = made.batch.in.reference.sum_S.to(at::kFloat);
  made.batch.in.policy.count_S = tests::f64(count).to(at::kFloat);
  return made;
}

template <class Options>
Numbers trained(Scene made, const Options& options, size_t answers = 5) {
  const Term term = make_term({.kind = std::string(options.kKind), .options = options});
  TermInput& in = made.batch.in;
  in.state = &made.state;
  in.training = true;
  const at::Tensor index = tests::i64(made.answer);
  const Feedback& feedback = in.feedback;
  const at::Tensor& weight = term.needs.unit == Unit::kPair    ? feedback.pairs.weight_P
                             : term.needs.unit == Unit::kLabel ? feedback.label_weight_S
                                                               : feedback.group_weight_G;
  return tests::trained(answers, [&](const at::Tensor& logps) {
    in.policy.sum_S = logps.index_select(0, index);
    return (weight * term.run(in).loss_I).sum() / weight.sum();
  });
}

void expect_near(const Numbers& got, const Numbers& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-4) << "answer " << i;
  }
}

// Two answers, a token each; the first is preferred with this probability.
constexpr double kChance = 0.7;
Scene two_answers() {
  return scene({{0, 1, kChance}}, {0, 1}, {1, 1});
}

TEST(FixedPointOthers, DpoFreeIsDpoFromAUniformReference) {
  const double beta = 0.5;
  Numbers want = kReward;
  for (double& x : want) {
    x /= beta;
  }
  const Scene all = scene(bradley_terry(), {0, 1, 2, 3, 4}, kOnes);
  expect_near(trained(all, DpoFreeOptions{.beta = beta}), normalised(want));
  expect_near(trained(all, CpoOptions{.beta = beta, .alpha = 0}), normalised(want));
}

TEST(FixedPointOthers, CpoEndsBetweenItsTwoParts) {
  // With d = lp_0 - lp_1: beta (sigmoid(beta d) - p) + alpha (sigmoid(d) - p) = 0.
  const double beta = 0.4;
  const double alpha = 0.3;
  const double d = tests::root([&](double x) {
    return beta * (sigmoid(beta * x) - kChance) + alpha * (sigmoid(x) - kChance);
  });
  expect_near(trained(two_answers(), CpoOptions{.beta = beta, .alpha = alpha}, 2),
              normalised({d, 0}));
}

TEST(FixedPointOthers, NllIsHowOftenEachWins) {
  Numbers wins(5, 0);
  for (const Pair& pair : bradley_terry()) {
    wins[static_cast<size_t>(pair.winner)] += pair.weight;
  }
  for (double& x : wins) {
    x = std::log(x);
  }
  expect_near(trained(scene(bradley_terry(), {0, 1, 2, 3, 4}, kOnes), NllOptions{}),
              normalised(wins));
}

TEST(FixedPointOthers, SimpoWithoutAMarginGivesEachTokenItsReward) {
  // lp_i / n_i = r_i / beta + c, with the c that makes them probabilities.
  const double beta = 2;
  const Numbers count{1, 3, 2, 1, 2};
  const auto logps = [&](double c) {
    Numbers list;
    for (size_t i = 0; i < 5; ++i) {
      list.push_back(count[i] * (kReward[i] / beta + c));
    }
    return list;
  };
  const double c = tests::root([&](double x) {
    double total = -1;
    for (const double lp : logps(x)) {
      total += std::exp(std::min(lp, 50.0));
    }
    return total;
  });
  expect_near(trained(scene(bradley_terry(), {0, 1, 2, 3, 4}, count),
                      SimpoOptions{.beta = beta, .gamma_ratio = 0}),
              logps(c));
}

TEST(FixedPointOthers, AlphapoWithoutAMarginBendsThat) {
  // (1 - exp(-alpha lp_i)) / alpha = r_i / beta + c.
  const double beta = 2;
  const double alpha = 0.5;
  const auto logps = [&](double c) {
    Numbers list;
    for (const double r : kReward) {
      list.push_back(-std::log(std::max(1 - alpha * (r / beta + c), 1e-9)) / alpha);
    }
    return list;
  };
  const double c = tests::root([&](double x) {
    double total = -1;
    for (const double lp : logps(x)) {
      total += std::exp(lp);
    }
    return total;
  });
  expect_near(trained(scene(bradley_terry(), {0, 1, 2, 3, 4}, kOnes),
                      AlphapoOptions{.beta = beta, .gamma_ratio = 0, .alpha = alpha}),
              logps(c));
}

TEST(FixedPointOthers, SimposMarginPushesUnsurePairsFurther) {
  // p sigmoid(g - z) = (1 - p) sigmoid(g + z): with k = e^-g and o = p / (1 - p), x = e^z solves
  // k x^2 + (1 - o) x - o k = 0.
  const double beta = 2;
  const double ratio = 0.4;
  const double k = std::exp(-beta * ratio);
  const double o = kChance / (1 - kChance);
  const double x = (o - 1 + std::sqrt((1 - o) * (1 - o) + 4 * o * k * k)) / (2 * k);
  EXPECT_GT(std::log(x), std::log(o));
  expect_near(trained(two_answers(), SimpoOptions{.beta = beta, .gamma_ratio = ratio}, 2),
              normalised({std::log(x) / beta, 0}));
}

TEST(FixedPointOthers, OrpoEndsBetweenItsTwoParts) {
  // Of two answers the odds of one are the other's inverse: the log odds differ by 2 d, and
  // sigmoid(d) - p + 2 lambda (sigmoid(2 d) - p) = 0.
  const double lambda = 0.6;
  const double d = tests::root(
      [&](double x) { return sigmoid(x) - kChance + 2 * lambda * (sigmoid(2 * x) - kChance); });
  expect_near(trained(two_answers(), OrpoOptions{.lambda = lambda}, 2), normalised({d, 0}));
}

TEST(FixedPointOthers, BcoClassifiesEachAnswerByHowOftenItWins) {
  // Each answer is in 2 * 4 of the pairs, and won w_i of them: sigmoid(r_i - shift) = w_i. With
  // this shift these r are those of probabilities.
  const double beta = 0.8;
  Numbers wins(5, 0);
  for (const Pair& pair : bradley_terry()) {
    wins[static_cast<size_t>(pair.winner)] += pair.weight / 4;
  }
  double total = 0;
  Numbers want = kReference;
  for (size_t i = 0; i < 5; ++i) {
    want[i] += std::log(wins[i] / (1 - wins[i])) / beta;
    total += std::exp(want[i]);
  }
  const double shift = -beta * std::log(total);
  expect_near(trained(scene(bradley_terry(), {0, 1, 2, 3, 4}, kOnes),
                      BcoOptions{.beta = beta, .shift = shift}),
              normalised(want));
}

TEST(FixedPointOthers, BcoUnpairedFindsItsShift) {
  // Answers that are desirable with these chances, which mirror each other: the mean reward of the
  // desirable is as far above the shift as that of the undesirable is below, and
  // sigmoid(r_i - shift) = p_i.
  const double beta = 0.8;
  const Numbers chance{0.8, 0.2, 0.65, 0.35, 0.5};
  Scene made = scene({}, {0, 1, 2, 3, 4, 0, 1, 2, 3, 4}, Numbers(10, 1));
  Numbers label(5, 1), weight = chance, want = kReference;
  for (size_t i = 0; i < 5; ++i) {
    label.push_back(-1);
    weight.push_back(1 - chance[i]);
    want[i] += std::log(chance[i] / (1 - chance[i])) / beta;
  }
  tests::set_labels(made.batch, label, weight);
  expect_near(trained(std::move(made), BcoUnpairedOptions{.beta = beta}), normalised(want));
}

TEST(FixedPointOthers, PlackettLuceReachesTheClosedFormOptimum) {
  // Every order of every three answers, weighted by its chance under the rewards.
  const double beta = 0.7;
  Numbers answer, rank, group, weight;
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 5; ++j) {
      for (int k = 0; k < 5; ++k) {
        if (i == j || j == k || i == k) {
          continue;
        }
        const double first = std::exp(kReward[i]);
        const double rest = std::exp(kReward[j]) + std::exp(kReward[k]);
        for (const int a : {k, i, j}) {
          answer.push_back(a);
          rank.push_back(a == i ? 0 : a == j ? 1 : 2);
          group.push_back(static_cast<double>(weight.size()));
        }
        weight.push_back(first / (first + rest) * std::exp(kReward[j]) / rest);
      }
    }
  }
  Scene made = scene({}, answer, Numbers(answer.size(), 1));
  made.batch.in.feedback.rank_S = tests::i64(rank);
  made.batch.in.feedback.group_S = tests::i64(group);
  made.batch.in.feedback.group_weight_G = tests::f64(weight);
  Numbers want = kReference;
  for (size_t i = 0; i < 5; ++i) {
    want[i] += kReward[i] / beta;
  }
  expect_near(trained(std::move(made), PlackettLuceOptions{.beta = beta}), normalised(want));
}

TEST(FixedPointOthers, KtoAndApoZeroGoOneWayUntilTheirSlopeIsGone) {
  // Desirable with chance p: the slope along h has the sign of p w_D against (1 - p) w_U, wherever
  // h is.
  const auto slope = [](auto options, double p, double h) {
    options.weights = {.desirable = 1.5, .undesirable = 0.5};
    Batch batch({h, h}, {0, 0}, {});
    tests::set_labels(batch, {1, -1}, {p, 1 - p});
    batch.in.feedback.group_S = tests::i64({0, 0});
    batch.in.feedback.mismatched_S = tests::f64({0, 0}).to(at::kBool);
    const TermOutput out = tests::run(options, batch.in);
    (batch.in.feedback.label_weight_S * out.loss_I).sum().backward();
    return batch.slope()[0] + batch.slope()[1];
  };
  for (const double h : {-7.0, 0.0, 13.0}) {
    SCOPED_TRACE(h);
    const auto expect_signs = [&](const auto& options) {
      EXPECT_LT(slope(options, 0.26, h), 0);
      EXPECT_NEAR(slope(options, 0.25, h), 0, 1e-15);
      EXPECT_GT(slope(options, 0.24, h), 0);
    };
    expect_signs(KtoOptions{});
    expect_signs(ApoZeroUnpairedOptions{});
  }
}

}  // namespace
}  // namespace attune::objective
