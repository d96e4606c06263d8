// Where DPO with a budget ends: five answers, of which the better ones cost more.
#include "attune/objective/registry.h"

#include "tests/objective/bandit.h"
#include "tests/objective/three_pairs.h"

namespace attune::objective {
namespace {

using tests::numbers;
using tests::sigmoid;
using Numbers = std::vector<double>;

const Numbers kReward{0.7, -1.1, 0.2, 1.3, -0.4};
const Numbers kCost{0.6, 0.1, 0.2, 0.9, 0.05};
// Of 20 draws from the reference, how many each answer is.
const std::vector<int> kDraws{6, 2, 8, 1, 3};
const Numbers kReference{std::log(6.0 / 20),
                         std::log(2.0 / 20),
                         std::log(8.0 / 20),
                         std::log(1.0 / 20),
                         std::log(3.0 / 20)};
constexpr double kBeta = 1;

// The expected cost of answers with these log-probs.
double cost_of(const Numbers& logps) {
  double total = 0;
  for (size_t i = 0; i < logps.size(); ++i) {
    total += std::exp(logps[i]) * kCost[i];
  }
  return total;
}

// DPO alone: log ref + r / beta - log Z.
double cost_without_a_budget() {
  Numbers logps = kReference;
  for (size_t i = 0; i < logps.size(); ++i) {
    logps[i] += kReward[i] / kBeta;
  }
  return cost_of(tests::normalised(logps));
}

// What the budget is asked of, each form's expectation exact.
struct Prompts {
  std::vector<double> answers;  // of each completion
  std::vector<double> groups;   // of each completion: the prompt
};

Prompts prompts_of(const std::string& form) {
  Prompts prompts;
  const auto add = [&](int64_t answer, size_t group) {
    prompts.answers.push_back(static_cast<double>(answer));
    prompts.groups.push_back(static_cast<double>(group));
  };
  for (int64_t i = 0; i < 5; ++i) {
    if (form == "relaxed") {  // every answer once
      add(i, 0);
    } else if (form == "off_policy") {  // draws in the reference's shares
      for (int draw = 0; draw < kDraws[static_cast<size_t>(i)]; ++draw) {
        add(i, 0);
      }
    } else {  // every sample of two, which weighs its chance under the policy
      for (int64_t j = 0; j < 5; ++j) {
        const auto group = static_cast<size_t>(5 * i + j);
        add(i, group);
        add(j, group);
      }
    }
  }
  return prompts;
}

struct End {
  double cost = 0;
  double dual = 0;
  double steepest = 0;  // of the whole loss, at the end
};

End with_budget(double budget, const std::string& form) {
  std::vector<tests::Pair> pairs;
  double weight = 0;
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 5; ++j) {
      if (i != j) {
        pairs.push_back({i, j, 1, sigmoid(kReward[i] - kReward[j])});
        weight += pairs.back().weight;
      }
    }
  }
  const Objective dpo(
      std::vector<TermOptions>{{.kind = "dpo", .options = DpoOptions{.beta = kBeta}}});
  tests::Batch compared(kReference, kReference, pairs);
  compared.in.reference.sum_S = compared.in.reference.sum_S.to(at::kFloat);

  // The cut is far out: nothing of off_policy's expectation is lost.
  const Objective constraint(std::vector<TermOptions>{
      {.kind = "constraint",
       .options = ConstraintOptions{.budget = budget, .form = form, .dual_lr = 0.2, .clip = 40}}});
  const Prompts prompts = prompts_of(form);
  const at::Tensor answer_S = tests::i64(prompts.answers);
  const auto of_answers = [&](const Numbers& numbers) {
    return tests::f64(numbers).index_select(0, answer_S);
  };
  std::vector<tests::Pair> costed;  // one a prompt
  for (size_t s = 0; s < prompts.groups.size(); ++s) {
    if (s == 0 || prompts.groups[s] != prompts.groups[s - 1]) {
      costed.push_back({static_cast<int64_t>(s), static_cast<int64_t>(s) + 1});
    }
  }
  const Numbers zeros(prompts.answers.size(), 0);
  tests::Batch batch(zeros, zeros, costed);
  TermInput& in = batch.in;
  in.reference.sum_S = of_answers(kReference).to(at::kFloat);
  in.feedback.group_S = tests::i64(prompts.groups);
  in.feedback.mismatched_S = tests::f64(zeros).to(at::kBool);
  in.feedback.values["cost"] = of_answers(kCost);
  in.training = true;

  Objective::State state = constraint.initial_state();
  at::Tensor last;  // the log-probs of the last step
  End end;
  end.cost = cost_of(
      tests::trained(5,
                     [&](const at::Tensor& logps) {
                       last = logps;
                       last.retain_grad();
                       compared.in.policy.sum_S = logps;
                       in.policy.sum_S = logps.index_select(0, answer_S);
                       if (form == "score_function") {
                         const at::Tensor chance_S = in.policy.sum_S.detach().to(at::kDouble).exp();
                         in.feedback.pairs.weight_P = winners(chance_S, in) * losers(chance_S, in);
                       }
                       const double total = in.feedback.pairs.weight_P.sum().item<double>();
                       return dpo.run(compared.in, {.pair = weight}).loss +
                              constraint.run(in, {.pair = total}, &state).loss;
                     },
                     {.steps = 2000, .lr = 0.02, .falling = false}));
  end.dual = state[0].at("dual");
  // Along the logits: what is left of the log-probs' slopes without their sum.
  const Numbers slope = numbers(last.grad());
  const Numbers logp = numbers(last);
  double sum = 0;
  for (const double x : slope) {
    sum += x;
  }
  for (size_t i = 0; i < slope.size(); ++i) {
    end.steepest = std::max(end.steepest, std::abs(slope[i] - std::exp(logp[i]) * sum));
  }
  return end;
}

class ConstraintBandit : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Forms,
                         ConstraintBandit,
                         testing::Values("off_policy", "relaxed", "score_function"),
                         [](const auto& test) { return test.param; });

TEST_P(ConstraintBandit, ATightBudgetIsMetWithAPriceOnCost) {
  EXPECT_GT(cost_without_a_budget(), 0.44);
  double before = 0;
  for (const double budget : {0.35, 0.2}) {
    SCOPED_TRACE(budget);
    const End end = with_budget(budget, GetParam());
    EXPECT_NEAR(end.cost, budget, 1e-2);
    EXPECT_GT(end.dual, before);  // less to spend, higher the price
    EXPECT_LT(end.steepest, 1e-3);
    before = end.dual;
  }
}

TEST_P(ConstraintBandit, ASlackBudgetCostsNothing) {
  const End end = with_budget(0.8, GetParam());
  EXPECT_EQ(end.dual, 0);
  EXPECT_NEAR(end.cost, cost_without_a_budget(), 1e-2);
}

}  // namespace
}  // namespace attune::objective
