// What every registered term promises, whatever its formula.
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>

#include "attune/objective/registry.h"

#include "tests/objective/support.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::numbers;
using tests::Pair;

std::vector<TermOptions> all_terms() {
  std::vector<TermOptions> terms;
  visit_kinds([&](const auto& options) {
    terms.push_back(
        {.kind = std::string(options.kKind), .weight = 1, .options = options, .where = {}});
  });
  return terms;
}

class EveryTerm : public testing::TestWithParam<TermOptions> {
 protected:
  TermOutput run(const Batch& batch) const {
    return term_.run(batch.policy, batch.reference, batch.pairs);
  }
  Term term_ = make_term(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Registry, EveryTerm, testing::ValuesIn(all_terms()), [](const auto& test) {
  return test.param.kind;
});

// Five completions, one of them in three comparisons; hard, soft, tied and reversed labels.
const std::vector<Pair> kPairs{{0, 1, 1}, {2, 1, 0.8}, {3, 1, 0.5}, {4, 0, 0}, {2, 3, 0.6}};

std::vector<double> spread(double scale) {
  return {-10 * scale, -12.5 * scale, -3.25 * scale, -7 * scale, -11 * scale};
}

TEST_P(EveryTerm, ItsGradientIsThatOfFiniteDifferences) {
  struct Point {
    const char* name;
    std::vector<double> policy, reference;
  };
  const std::vector<Point> points{
      {"generic", spread(1), {-11, -11.5, -4, -8, -9}},
      {"tied", {-3, -3, -3, -3, -3}, {-3, -3, -3, -3, -3}},
      {"extreme", spread(20), {-30, -400, -20, -500, -100}},
  };
  constexpr double kStep = 1e-5;
  for (const Point& point : points) {
    SCOPED_TRACE(point.name);
    const auto loss = [&](const std::vector<double>& policy) {
      std::vector<double> losses = numbers(run(Batch(policy, point.reference, kPairs)).loss_P);
      for (size_t p = 0; p < losses.size(); ++p) {
        losses[p] *= static_cast<double>(p) + 1;  // a slope of its own for every comparison
      }
      return losses[0] + losses[1] + losses[2] + losses[3] + losses[4];
    };
    const Batch batch(point.policy, point.reference, kPairs);
    (run(batch).loss_P * tests::f64({1, 2, 3, 4, 5})).sum().backward();
    const std::vector<double> slope = numbers(batch.policy.sum_S.grad());
    for (size_t s = 0; s < point.policy.size(); ++s) {
      std::vector<double> up = point.policy;
      std::vector<double> down = point.policy;
      up[s] += kStep;
      down[s] -= kStep;
      const double measured = (loss(up) - loss(down)) / (2 * kStep);
      EXPECT_NEAR(slope[s], measured, 1e-6 * std::max(1.0, std::abs(measured))) << "sequence " << s;
    }
  }
}

TEST_P(EveryTerm, TheOrderOfComparisonsMeansNothing) {
  const std::vector<size_t> order{3, 0, 4, 2, 1};
  std::vector<Pair> moved;
  for (const size_t p : order) {
    moved.push_back(kPairs[p]);
  }
  const std::vector<double> reference{-11, -11.5, -4, -8, -9};
  const auto before = numbers(run(Batch(spread(1), reference, kPairs)).loss_P);
  const auto after = numbers(run(Batch(spread(1), reference, moved)).loss_P);
  for (size_t p = 0; p < order.size(); ++p) {
    EXPECT_NEAR(after[p], before[order[p]], 1e-14);
  }
}

TEST_P(EveryTerm, WinningMoreLosesLess) {
  // A hard label, at no margin: the winner's log-prob is pushed up, the loser's down.
  const Batch batch({-5, -5}, {-5, -5}, {{0, 1, 1}});
  run(batch).loss_P.sum().backward();
  const std::vector<double> slope = numbers(batch.policy.sum_S.grad());
  EXPECT_LT(slope[0], 0);
  EXPECT_GE(slope[1], 0);
}

TEST_P(EveryTerm, RewardsAreDetachedAndOneASequence) {
  const TermOutput out = run(Batch(spread(1), {-11, -11.5, -4, -8, -9}, kPairs));
  EXPECT_FALSE(out.reward_S.requires_grad());
  EXPECT_EQ(out.reward_S.sizes(), at::IntArrayRef({5}));
  EXPECT_EQ(out.loss_P.sizes(), at::IntArrayRef({5}));
  EXPECT_TRUE(out.loss_P.requires_grad());
}

TEST_P(EveryTerm, StaysFiniteFarOut) {
  for (const double far : {1e4, -1e4, 1e5, -1e5}) {
    SCOPED_TRACE(far);
    const Batch batch({-1e5 + far, -1e5}, {-1e5, -1e5}, {{0, 1, 1}, {1, 0, 0.5}, {0, 1, 0}});
    const TermOutput out = run(batch);
    out.loss_P.sum().backward();
    for (const at::Tensor& tensor : {out.loss_P, out.reward_S, batch.policy.sum_S.grad()}) {
      for (const double x : numbers(tensor)) {
        EXPECT_TRUE(std::isfinite(x));
      }
    }
  }
}

TEST_P(EveryTerm, RefusesShapesThatDiffer) {
  const auto message = [&](const std::function<void(Batch&)>& change) {
    Batch batch(spread(1), {-11, -11.5, -4, -8, -9}, kPairs);
    change(batch);
    return tests::error_of([&] { run(batch); });
  };
  EXPECT_EQ(message([](Batch&) {}), "no error");
  EXPECT_THAT(message([](Batch& b) { b.pairs.loser_P = b.pairs.loser_P.slice(0, 0, 4); }),
              HasSubstr("loser must have 5 entries, got 4"));
  EXPECT_THAT(message([](Batch& b) { b.pairs.weight_P = tests::f64({1}); }),
              HasSubstr("weight must have 5 entries, got 1"));
  EXPECT_THAT(message([](Batch& b) { b.pairs.probability_P = tests::f64({}); }),
              HasSubstr("probability must have 5 entries, got 0"));
  EXPECT_THAT(message([](Batch& b) {
                b.policy.sum_S = tests::normal({5, 3}, 1);
              }),
              HasSubstr("policy.sum must be one number per sequence, got 2 dimensions"));
  EXPECT_THAT(message([](Batch& b) { b.policy.count_S = tests::f64({1}); }),
              HasSubstr("policy.count must have 5 entries, got 1"));
  EXPECT_THAT(message([](Batch& b) { b = Batch(spread(1), spread(1), {}); }),
              HasSubstr("no comparison in the batch"));
  if (term_.needs_reference) {
    EXPECT_THAT(message([](Batch& b) {
                  b.reference.sum_S = tests::f64({1, 2});
                }),
                HasSubstr("reference.sum must have 5 entries, got 2"));
    EXPECT_THAT(message([](Batch& b) { b.reference.sum_S = at::Tensor(); }),
                HasSubstr("reference.sum must be a list of 5 numbers"));
  }
}

TEST(Objective, IsTheWeightedSumOfItsTerms) {
  const std::vector<TermOptions> terms{
      {.kind = "dpo", .weight = 0.5, .options = DpoOptions{.beta = 0.1}, .where = {}},
      {.kind = "dpo", .weight = 3, .options = DpoOptions{.beta = 2}, .where = {}}};
  const Batch batch(spread(1), {-11, -11.5, -4, -8, -9}, kPairs);
  const auto both = Objective(terms).run(batch.policy, batch.reference, batch.pairs);
  const auto first = make_term(terms[0]).run(batch.policy, batch.reference, batch.pairs);
  const auto second = make_term(terms[1]).run(batch.policy, batch.reference, batch.pairs);
  EXPECT_LE(tests::difference(both.loss_P, 0.5 * first.loss_P + 3 * second.loss_P), 1e-14);
  EXPECT_EQ(tests::difference(both.reward_S, first.reward_S), 0);
  EXPECT_TRUE(Objective(terms).needs_reference());
}

TEST(Objective, RefusesNoTermAndAWeightThatCountsNothing) {
  EXPECT_THAT(tests::error_of([] { Objective({}); }), HasSubstr("objective: no term"));
  for (const double weight : {0.0, -1.0, std::nan("")}) {
    const std::vector<TermOptions> terms{
        {.kind = "dpo", .weight = weight, .options = DpoOptions{}, .where = {}}};
    EXPECT_THAT(tests::error_of([&] { Objective{terms}; }), HasSubstr("dpo.weight must be > 0"));
  }
}

}  // namespace
}  // namespace attune::objective
