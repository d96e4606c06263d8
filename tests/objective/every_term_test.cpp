// What every registered term promises, whatever its formula.
#include <algorithm>
#include <cmath>
#include <functional>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "attune/objective/registry.h"

#include "tests/objective/support.h"

namespace attune::objective {
namespace {

using testing::HasSubstr;
using tests::Batch;
using tests::kNone;
using tests::numbers;
using tests::Pair;

std::vector<TermOptions> all_terms() {
  std::vector<TermOptions> terms;
  visit_kinds([&](const auto& options) {
    terms.push_back({.kind = std::string(options.kKind), .options = options});
  });
  return terms;
}

// Five completions and two strangers; hard, soft, tied and reversed labels, one completion in three
// comparisons.
const std::vector<Pair> kPairs{{0, 1, 1}, {2, 1, 0.8}, {2, 0, 0.5}, {4, 3, 0}, {3, 4, 0.6}};
const std::vector<double> kPolicy{-10, -12.5, -3.25, -7, -11, -20, -15};
const std::vector<double> kReference{-11, -11.5, -4, -8, -9, -19, -16};

class EveryTerm : public testing::TestWithParam<TermOptions> {
 protected:
  /// A whole step with all that this term reads, its columns too.
  [[nodiscard]] Batch scene(const std::vector<double>& policy = kPolicy,
                            const std::vector<double>& reference = kReference,
                            const std::vector<Pair>& pairs = kPairs) const {
    Batch batch = tests::scene(policy, reference, pairs);
    double offset = 0;
    for (const std::string& column : term_.columns) {
      batch.in.feedback.values[column] =
          tests::f64({0.2 + offset, 0.9, 0.4, 0.1, 0.7 - offset, kNone, kNone});
      offset += 0.1;
    }
    return batch;
  }
  [[nodiscard]] const Needs& needs() const {
    return term_.needs;
  }
  [[nodiscard]] int64_t items() const {
    return needs().unit == Unit::kPair ? 5 : needs().unit == Unit::kLabel ? 7 : 2;
  }
  [[nodiscard]] bool detaches() const {
    return std::visit(
        [](const auto& o) {
          return requires {
            o.kDetaches;
          };
        },
        GetParam().options);
  }

  Term term_ = make_term(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Registry, EveryTerm, testing::ValuesIn(all_terms()), [](const auto& test) {
  return test.param.kind;
});

// The leaves that a term may send a slope to.
std::vector<at::Tensor*> leaves(Batch& batch) {
  SequenceLogps& policy = batch.in.policy;
  return {&policy.sum_S, &policy.token_C, &policy.divergence_S};
}

// A term that holds a part of itself fixed (kDetaches) has a slope of its own; its own test has it.
TEST_P(EveryTerm, ItsGradientIsThatOfFiniteDifferences) {
  if (detaches()) {
    return;
  }
  struct Point {
    const char* name;
    std::vector<double> policy, reference;
  };
  const std::vector<double> same(7, -3);
  std::vector<double> far = kPolicy;
  std::for_each(far.begin(), far.end(), [](double& x) { x *= 20; });
  const std::vector<Point> points{{"generic", kPolicy, kReference},
                                  {"nearly tied", {-3, -3.1, -3, -3.05, -3, -3, -3}, same},
                                  {"extreme", far, {-30, -400, -20, -500, -100, -300, -50}}};
  constexpr double kStep = 1e-5;
  for (const Point& point : points) {
    SCOPED_TRACE(point.name);
    const auto weighted = [](const at::Tensor& loss_I) {
      std::vector<double> factors;  // a slope of its own for every item
      for (int64_t i = 0; i < loss_I.size(0); ++i) {
        factors.push_back(1 + static_cast<double>(i));
      }
      return (loss_I * tests::f64(factors)).sum();
    };
    Batch batch = scene(point.policy, point.reference);
    weighted(term_.run(batch.in).loss_I).backward();
    for (size_t leaf = 0; leaf < 3; ++leaf) {
      const at::Tensor& grad = leaves(batch)[leaf]->grad();
      for (int64_t i = 0; i < leaves(batch)[leaf]->size(0); ++i) {
        const auto at = [&](double move) {
          const at::NoGradGuard no_grad;
          Batch moved = scene(point.policy, point.reference);
          leaves(moved)[leaf]->data_ptr<double>()[i] += move;
          return weighted(term_.run(moved.in).loss_I).item<double>();
        };
        const double measured = (at(kStep) - at(-kStep)) / (2 * kStep);
        const double slope = grad.defined() ? grad[i].item<double>() : 0;
        const double rounding = 1e-15 * std::abs(at(0)) / kStep;  // of the difference of two losses
        EXPECT_NEAR(slope, measured, 1e-6 * std::max(1.0, std::abs(measured)) + rounding)
            << "leaf " << leaf << ", entry " << i;
      }
    }
  }
}

TEST_P(EveryTerm, TheOrderOfComparisonsMeansNothing) {
  if (needs().unit != Unit::kPair) {
    return;
  }
  const std::vector<size_t> order{3, 0, 4, 2, 1};
  std::vector<Pair> moved;
  for (const size_t p : order) {
    moved.push_back(kPairs[p]);
  }
  std::vector<double> before = numbers(term_.run(scene().in).loss_I);
  std::vector<double> after = numbers(term_.run(scene(kPolicy, kReference, moved).in).loss_I);
  if (needs().whole_step) {  // may answer in an order of its own
    std::sort(before.begin(), before.end());
    std::sort(after.begin(), after.end());
  }
  for (size_t p = 0; p < order.size(); ++p) {
    EXPECT_NEAR(after[p], before[needs().whole_step ? p : order[p]], 1e-12);
  }
}

// Where a sign is promised: a hard label, at no margin, pushes the winner up and the loser down.
TEST_P(EveryTerm, WinningMoreLosesLess) {
  const bool unsigned_at_zero = std::visit(
      [](const auto& o) {
        return requires {
          o.kNoSignAtZero;
        };
      },
      GetParam().options);
  if (unsigned_at_zero) {
    return;
  }
  const std::vector<double> same{-5, -5, -5, -5, -5, -5, -5};
  Batch batch = scene(same, same, {{0, 1, 1}});
  batch.in.policy.count_S = tests::f64({5, 5, 5, 5, 5, 5, 5});
  batch.in.reference.count_S = batch.in.policy.count_S;
  batch.in.feedback.rank_S = tests::i64({0, 2, 1, 0, 1, -1, -1});
  const TermOutput out = term_.run(batch.in);
  out.loss_I.sum().backward();
  double winner = batch.slope()[0];
  double loser = batch.slope()[1];
  if (const at::Tensor& tokens = batch.in.policy.token_C.grad(); tokens.defined()) {
    const std::vector<double> slope = numbers(tokens);
    winner += slope[0];  // two tokens of the winner, then three of the loser
    loser += slope[2];
  }
  EXPECT_LT(winner, 0);
  EXPECT_GE(loser, 0);
}

TEST_P(EveryTerm, RewardsAreDetachedAndOneASequence) {
  const TermOutput out = term_.run(scene().in);
  EXPECT_FALSE(out.reward_S.requires_grad());
  EXPECT_EQ(out.reward_S.sizes(), at::IntArrayRef({7}));
  EXPECT_EQ(out.loss_I.sizes(), at::IntArrayRef({items()}));
  EXPECT_TRUE(out.loss_I.requires_grad());
}

// Log-probs in f64 and in f32, which is what a model gives; what people said stays f64.
TEST_P(EveryTerm, StaysFiniteFarOut) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    for (const double far : {1e4, -1e4, 1e5, -1e5, 0.0}) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + ", " + std::to_string(far));
      const std::vector<double> base(7, -1e5);
      std::vector<double> policy = base;
      policy[0] += far;
      policy[3] -= far;
      Batch batch = scene(policy, base, {{0, 1, 1}, {1, 0, 0.5}, {0, 3, 0}});
      for (SequenceLogps* logps : {&batch.in.policy, &batch.in.reference}) {
        for (at::Tensor* tensor : {&logps->sum_S,
                                   &logps->count_S,
                                   &logps->token_C,
                                   &logps->divergence_S,
                                   &logps->concentration_C}) {
          if (tensor->defined()) {
            const bool leaf = tensor->requires_grad();
            *tensor = tensor->detach().to(dtype).set_requires_grad(leaf);
          }
        }
      }
      const TermOutput out = term_.run(batch.in);
      out.loss_I.sum().backward();
      std::vector<at::Tensor> all{out.loss_I, out.reward_S};
      for (const at::Tensor* leaf : leaves(batch)) {
        if (leaf->grad().defined()) {
          all.push_back(leaf->grad());
        }
      }
      for (const at::Tensor& tensor : all) {
        for (const double x : numbers(tensor)) {
          EXPECT_TRUE(std::isfinite(x));
        }
      }
    }
  }
}

// What data.group_robust relies on: all items of one loss, in two scenes, are no accident.
TEST_P(EveryTerm, SaysWhetherItsItemsShareOneLoss) {
  std::vector<double> other = kPolicy;
  other[0] += 1.5;
  other[3] -= 0.5;
  const auto shared = [&](const std::vector<double>& policy) {
    const std::vector<double> losses = numbers(term_.run(scene(policy).in).loss_I);
    return losses[0] != 0 &&
           std::all_of(losses.begin(), losses.end(), [&](double x) { return x == losses[0]; });
  };
  EXPECT_EQ(shared(kPolicy) && shared(other), has_one_loss(GetParam()));
}

// What early stopping relies on: a term that carries numbers from step to step says so.
TEST_P(EveryTerm, SaysWhetherItsLossMovesFromStepToStep) {
  Batch batch = scene();
  TermState state;
  batch.in.state = &state;
  batch.in.training = true;
  (void)term_.run(batch.in);
  EXPECT_EQ(!state.empty(), moves(GetParam()));
}

TEST_P(EveryTerm, RefusesShapesThatDiffer) {
  const auto message = [&](const std::function<void(TermInput&)>& change) {
    Batch batch = scene();
    change(batch.in);
    return tests::error_of([&] { term_.run(batch.in); });
  };
  EXPECT_EQ(message([](TermInput&) {}), "no error");
  EXPECT_THAT(message([](TermInput& in) {
                in.policy.sum_S = tests::normal({5, 3}, 1);
              }),
              HasSubstr("policy.sum must be one number per sequence, got 2 dimensions"));
  EXPECT_THAT(message([](TermInput& in) { in.policy.count_S = tests::f64({1}); }),
              HasSubstr("policy.count must have 7 entries, got 1"));
  if (needs().unit == Unit::kPair) {
    EXPECT_THAT(message([](TermInput& in) {
                  in.feedback.pairs.loser_P = in.feedback.pairs.loser_P.slice(0, 0, 4);
                }),
                HasSubstr("loser must have 5 entries, got 4"));
    EXPECT_THAT(message([](TermInput& in) { in.feedback.pairs.weight_P = tests::f64({1}); }),
                HasSubstr("weight must have 5 entries, got 1"));
    EXPECT_THAT(message([](TermInput& in) { in.feedback.pairs = tests::comparisons({}); }),
                HasSubstr("no comparison in the batch"));
  }
  if (needs().unit == Unit::kLabel) {
    EXPECT_THAT(message([](TermInput& in) { in.feedback.label_S = tests::f64({1}); }),
                HasSubstr("label must have 7 entries, got 1"));
  }
  if (needs().unit == Unit::kGroup) {
    EXPECT_THAT(message([](TermInput& in) { in.feedback.rank_S = tests::i64({1}); }),
                HasSubstr("rank must have 7 entries, got 1"));
  }
  if (needs().reference) {
    EXPECT_THAT(message([](TermInput& in) {
                  in.reference.sum_S = tests::f64({1, 2});
                }),
                HasSubstr("reference.sum must have 7 entries, got 2"));
    EXPECT_THAT(message([](TermInput& in) { in.reference.sum_S = at::Tensor(); }),
                HasSubstr("reference.sum must be a list of 7 numbers"));
  }
}

// A term reads what it declares and nothing else: Objective shows it no more.
TEST_P(EveryTerm, DeclaresAllThatItReads) {
  const Batch batch = scene();
  const std::vector<TermOptions> terms{GetParam()};
  const ObjectiveOutput out =
      Objective(terms).run(batch.in, {.pair = 5, .label = 4.5, .group = 1.5});
  EXPECT_TRUE(out.loss.requires_grad());
  EXPECT_TRUE(std::isfinite(out.loss.item<double>()));
}

TEST_P(EveryTerm, SaysWhatItIsInOneLine) {
  std::visit(
      [](const auto& options) {
        EXPECT_FALSE(options.kSummary.empty());
        EXPECT_FALSE(options.kAdvice.empty());
        EXPECT_FALSE(options.kPaper.empty());
        EXPECT_LT(options.kSummary.size(), 120U);
      },
      GetParam().options);
}

TEST(Objective, IsTheWeightedSumOfItsTerms) {
  const std::vector<TermOptions> terms{
      {.kind = "dpo", .weight = 0.5, .options = DpoOptions{.beta = 0.1}},
      {.kind = "dpo", .weight = 3, .options = DpoOptions{.beta = 2}}};
  std::vector<Pair> pairs = kPairs;
  pairs[1].weight = 4;
  const Batch batch = tests::scene(kPolicy, kReference, pairs);
  const ObjectiveOutput both = Objective(terms).run(batch.in, {.pair = 10});
  const TermOutput first = make_term(terms[0]).run(batch.in);
  const TermOutput second = make_term(terms[1]).run(batch.in);
  const at::Tensor& weight_P = batch.in.feedback.pairs.weight_P;
  const at::Tensor want = (weight_P * (0.5 * first.loss_I + 3 * second.loss_I)).sum() / 10;
  EXPECT_NEAR(both.loss.item<double>(), want.item<double>(), 1e-14);
  EXPECT_EQ(tests::difference(both.reward_S, first.reward_S), 0);
  EXPECT_TRUE(Objective(terms).needs().reference);
}

TEST(Objective, FiguresOfSeveralTermsOfAKindCarryTheTermsNumber) {
  const TermOptions dpo{.kind = "dpo", .options = DpoOptions{}};
  const TermOptions kto{.kind = "kto", .options = KtoOptions{}};
  const auto names = [](const std::vector<TermOptions>& terms) {
    std::vector<std::string> list;
    const UnitWeights weights{.pair = 5, .label = 4.5};
    const Batch batch = tests::scene(kPolicy, kReference, kPairs);
    const auto figures = Objective(terms).run(batch.in, weights).figures;
    for (const auto& [name, value] : figures) {
      list.push_back(name);
    }
    return list;
  };
  EXPECT_THAT(names({kto, dpo}), testing::ElementsAre("kto.kl"));
  EXPECT_THAT(names({kto, dpo, kto}), testing::ElementsAre("kto.0.kl", "kto.2.kl"));
}

TEST(Objective, RefusesNoTermAndAWeightThatCountsNothing) {
  EXPECT_THAT(tests::error_of([] { Objective({}); }), HasSubstr("objective: no term"));
  for (const double weight : {0.0, -1.0, std::nan("")}) {
    const std::vector<TermOptions> terms{
        {.kind = "dpo", .weight = weight, .options = DpoOptions{}}};
    EXPECT_THAT(tests::error_of([&] { Objective{terms}; }), HasSubstr("dpo.weight must be > 0"));
  }
}

TEST(Objective, HasNoLossWhereNothingWeighs) {
  const std::vector<TermOptions> terms{{.kind = "dpo", .options = DpoOptions{}}};
  const Batch batch = tests::scene(kPolicy, kReference, kPairs);
  EXPECT_FALSE(Objective(terms).run(batch.in, {.pair = 0}).loss.defined());
}

}  // namespace
}  // namespace attune::objective
