// What a step promises of every registered term: any cutting is the same step, weights mean what
// they say, state moves with steps and with nothing else.
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>

#include "attune/train/step.h"

#include "tests/objective/support.h"

namespace attune::train {
namespace {

using objective::SequenceLogps;
using objective::TermOptions;
using objective::Unit;
using tests::f64;
using tests::numbers;

std::vector<TermOptions> all_terms() {
  std::vector<TermOptions> terms;
  objective::visit_kinds([&](const auto& options) {
    terms.push_back({.kind = std::string(options.kKind), .options = options});
  });
  return terms;
}

// Prompts with two completions each, and a stranger. The log-probs are the parameters: three a
// prompt, of which the third is the stranger's.
class EveryTermStep : public testing::TestWithParam<TermOptions> {
 protected:
  static constexpr int64_t kGroups = 4;

  struct Group {
    int64_t number = 0;  // which prompt
    float weight = 1;
    int copies = 1;  // of its comparison
    float probability = 1;
    int8_t label = 0;  // of its first completion, in place of the comparison; 0: none
  };

  [[nodiscard]] PreferenceBatch batch_of(const std::vector<Group>& list) const {
    std::vector<data::EncodedGroup> groups;
    std::vector<int64_t> indices;
    std::vector<std::vector<int32_t>> strangers;
    for (const Group& one : list) {
      const auto n = static_cast<int32_t>(one.number);
      data::EncodedGroup& group = groups.emplace_back();
      group.prompt = {1, 2};
      group.completions = {std::vector<int32_t>(static_cast<size_t>(2 + n), 3), {4, 5, 6}};
      group.comparisons.assign(static_cast<size_t>(one.copies),
                               {.winner = n % 2,
                                .loser = 1 - n % 2,
                                .probability = one.probability,
                                .weight = one.weight});
      if (one.label != 0) {
        group.comparisons.clear();
        group.labels = {one.label, 0};
        group.label_weights = {one.weight, 1};
      }
      const float number = static_cast<float>(one.number);
      group.scores = {0.9F - 0.1F * number, 0.2F + 0.15F * number};
      for (const std::string& column : objective_.terms()[0].columns) {
        group.values[column] = {0.1F + 0.2F * number, 0.8F - 0.1F * number};
      }
      indices.push_back(one.number);
      if (objective_.needs().mismatched) {
        strangers.push_back({7, 8});
      }
    }
    return lift(data::pack(groups, indices, strangers));
  }

  [[nodiscard]] SequenceLogps logps(const PreferenceBatch& batch, const at::Tensor& from) const {
    std::vector<double> index;
    const std::vector<double> stranger = numbers(batch.feedback.mismatched_S.to(at::kDouble));
    int64_t last = -1;
    int64_t place = 0;
    for (size_t s = 0; s < batch.group_S.size(); ++s) {
      place = batch.group_S[s] == last ? place + 1 : 0;
      last = batch.group_S[s];
      const int64_t own = stranger[s] != 0 ? 2 : place;
      index.push_back(static_cast<double>(3 * batch.groups[static_cast<size_t>(last)] + own));
    }
    const at::Tensor sum_S = from.index_select(0, tests::i64(index));
    const at::Tensor each_S = sum_S / batch.count_S;
    return {.sum_S = sum_S,
            .count_S = batch.count_S,
            .token_C = each_S.index_select(0, batch.sequence_C),
            .divergence_S = 0.01 * sum_S * sum_S,
            .concentration_C = (each_S.detach() * 0.5).index_select(0, batch.sequence_C)};
  }

  /// Gradient, then loss and metrics; the state begins as `state_` and is left there.
  std::vector<double> step(const std::vector<PreferenceBatch>& batches) {
    optim::AdamW optimizer({policy_}, {});
    const StepParts parts{
        .objective = &objective_,
        .optimizer = &optimizer,
        .policy = [&](const PreferenceBatch& batch) { return logps(batch, policy_); },
        .reference =
            [&](const PreferenceBatch& batch) {
              return objective_.needs().reference ? logps(batch, reference_) : SequenceLogps{};
            },
        .state = &state_,
        .max_grad_norm = 0};
    const StepReport report = run_step(parts, batches, /*lr=*/0);
    comparisons_ = report.mean.comparisons;
    std::vector<double> all = numbers(policy_.grad());
    all.push_back(report.mean.loss);
    all.push_back(report.mean.accuracy);
    all.push_back(report.mean.margin);
    all.push_back(report.mean.chosen_logps);
    return all;
  }
  std::vector<double> fresh(const std::vector<PreferenceBatch>& batches) {
    state_ = objective_.initial_state();
    return step(batches);
  }

  static void expect_near(const std::vector<double>& x, const std::vector<double>& y) {
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(x[i], y[i], 1e-12 * std::max(1.0, std::abs(y[i]))) << i;
    }
  }

  at::Tensor policy_ =
      f64({-3, -4, -6, -5.5, -2, -7, -4, -4.5, -9, -6, -3, -8}).set_requires_grad(true);
  at::Tensor reference_ = f64({-3.5, -4.2, -6.5, -5, -2.5, -6, -4.4, -4, -9.5, -5.5, -3.75, -8});
  objective::Objective objective_{std::vector<TermOptions>{GetParam()}};
  objective::Objective::State state_ = objective_.initial_state();
  int64_t comparisons_ = 0;  // of the last step
};

INSTANTIATE_TEST_SUITE_P(Registry,
                         EveryTermStep,
                         testing::ValuesIn(all_terms()),
                         [](const auto& test) { return test.param.kind; });

TEST_P(EveryTermStep, AnyCuttingIsTheSameStep) {
  const Group a{0}, b{1}, c{2}, d{3};
  const std::vector<double> whole = fresh({batch_of({a, b, c, d})});
  const auto state = state_;
  expect_near(fresh({batch_of({a, b}), batch_of({c, d})}), whole);
  expect_near(fresh({batch_of({a}), batch_of({b, c, d})}), whole);
  expect_near(fresh({batch_of({a}), batch_of({b}), batch_of({c}), batch_of({d})}), whole);
  for (size_t i = 0; i < state.size(); ++i) {
    for (const auto& [name, value] : state[i]) {
      EXPECT_NEAR(state_[i].at(name), value, 1e-12) << name;
    }
  }
}

TEST_P(EveryTermStep, AnyCuttingOfPairsAndLabelsIsTheSameStep) {
  const Group a{0}, b{1}, c{.number = 2, .weight = 3, .label = 1},
      d{.number = 3, .weight = 0.5, .label = -1};
  const std::vector<double> whole = fresh({batch_of({a, b, c, d})});
  EXPECT_EQ(comparisons_, 2);  // figures are of the pairs where there are some
  for (const std::vector<PreferenceBatch>& cut : std::vector<std::vector<PreferenceBatch>>{
           {batch_of({a, b}), batch_of({c, d})},
           {batch_of({c}), batch_of({a, d}), batch_of({b})},
           {batch_of({d}), batch_of({c}), batch_of({b}), batch_of({a})}}) {
    expect_near(fresh(cut), whole);
    EXPECT_EQ(comparisons_, 2);
  }
}

TEST_P(EveryTermStep, ALabelWeighsAsMuchAsItSays) {
  if (!objective_.uses(Unit::kLabel)) {
    return;  // reads no label
  }
  const auto weighted = [](float c, float d) {
    return std::vector<Group>{{.number = 2, .weight = c, .label = 1},
                              {.number = 3, .weight = d, .label = -1},
                              {.number = 0, .weight = d, .label = 1}};
  };
  const std::vector<double> plain = fresh({batch_of(weighted(1, 1))});
  expect_near(fresh({batch_of(weighted(2, 2))}), plain);
  const std::vector<double> other = fresh({batch_of(weighted(2, 1))});
  EXPECT_GT(std::abs(other[6] - plain[6]), 1e-6);  // its own slope
  const std::vector<double> none = fresh({batch_of(weighted(0, 1))});
  EXPECT_EQ(none[6], 0);
}

// A label below 1/2 speaks for the other side; one of 1/2 labels nothing, and no soft one ranks.
TEST_P(EveryTermStep, SoftLabelsMayBeCutAndWeighedToo) {
  if (objective_.uses(Unit::kGroup)) {
    return;
  }
  const auto soft = [](int64_t number, float probability, float weight = 1) {
    return Group{.number = number, .weight = weight, .probability = probability};
  };
  const Group a = soft(0, 0.75F), b = soft(1, 0.25F), c = soft(2, 0.5F), d = soft(3, 0.875F);
  const std::vector<double> whole = fresh({batch_of({a, b, c, d})});
  expect_near(fresh({batch_of({a, b}), batch_of({c, d})}), whole);
  expect_near(fresh({batch_of({a}), batch_of({b}), batch_of({c}), batch_of({d})}), whole);
  expect_near(fresh({batch_of({d, b, a, c})}), whole);
  Group twice = b;
  twice.copies = 2;
  expect_near(fresh({batch_of({a, soft(1, 0.25F, 2), d})}), fresh({batch_of({a, twice, d})}));
}

TEST_P(EveryTermStep, OrderMeansNothing) {
  const Group a{0}, b{1}, c{2};
  expect_near(fresh({batch_of({c, a, b})}), fresh({batch_of({a, b, c})}));
}

TEST_P(EveryTermStep, WeightsMeanWhatTheySay) {
  const Group a{0}, b{1};
  const auto weighted = [](Group group, float weight) {
    group.weight = weight;
    return group;
  };
  expect_near(fresh({batch_of({weighted(a, 5), weighted(b, 5)})}), fresh({batch_of({a, b})}));
  expect_near(fresh({batch_of({a, weighted(b, 0)})}), fresh({batch_of({a})}));
  if (objective_.uses(Unit::kGroup)) {
    return;  // a ranking said twice is no ranking
  }
  Group twice = b;
  twice.copies = 2;
  expect_near(fresh({batch_of({a, weighted(b, 2)})}), fresh({batch_of({a, twice})}));
}

// What a resumed run stands on: the state, and nothing else, carries over.
TEST_P(EveryTermStep, GoesOnFromItsState) {
  const PreferenceBatch first = batch_of({{0}, {1}});
  const PreferenceBatch second = batch_of({{2}, {3}});
  fresh({first});
  const auto state = state_;
  const std::vector<double> want = step({second});
  state_ = state;
  EXPECT_EQ(step({second}), want);
}

}  // namespace
}  // namespace attune::train
