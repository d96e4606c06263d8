// One step on a model of a few numbers: log pi of each sequence is a parameter of its own.
#include "attune/train/step.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include "tests/tensor/golden.h"

namespace attune::train {
namespace {

using objective::SequenceLogps;
using testing::HasSubstr;
using tests::numbers;

struct Pair {
  int64_t winner, loser;
  double probability, weight;
};

at::Tensor f64(const std::vector<double>& values) {
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
}

PreferenceBatch batch_of(const std::vector<Pair>& pairs, int64_t S) {
  PreferenceBatch batch;
  std::vector<double> winner, loser, probability, weight;
  for (const Pair& pair : pairs) {
    winner.push_back(static_cast<double>(pair.winner));
    loser.push_back(static_cast<double>(pair.loser));
    probability.push_back(pair.probability);
    weight.push_back(pair.weight);
    batch.weights.pair += pair.weight;
  }
  batch.feedback.pairs = {
      f64(winner).to(at::kLong), f64(loser).to(at::kLong), f64(probability), f64(weight)};
  batch.count_S = f64(std::vector<double>(static_cast<size_t>(S), 1));
  batch.tokens_N = f64({0, 0, 0});
  return batch;
}

// Steps over parameters logps_S with a reference of zeros.
class Step : public testing::Test {
 protected:
  StepReport run(const std::vector<PreferenceBatch>& batches,
                 double lr = 0,
                 double max_grad_norm = 0) {
    const StepParts parts{
        .objective = &objective_,
        .optimizer = &optimizer_,
        .policy =
            [&](const auto& batch) {
              return SequenceLogps{logps_S_ * 1, batch.count_S};
            },
        .reference =
            [&](const auto& batch) {
              return SequenceLogps{at::zeros_like(logps_S_).detach(), batch.count_S};
            },
        .max_grad_norm = max_grad_norm};
    return run_step(parts, batches, lr);
  }
  [[nodiscard]] std::vector<double> gradient() const {
    return numbers(logps_S_.grad());
  }

  at::Tensor logps_S_ = f64({1, -2, 0.5, 0}).set_requires_grad(true);
  optim::AdamW optimizer_{{logps_S_}, {}};
  objective::Objective objective_{std::vector<objective::TermOptions>{
      {.kind = "dpo", .options = objective::DpoOptions{.beta = 0.5}, .where = {}}}};
};

double softplus(double t) {
  return std::log1p(std::exp(t));
}
double sigmoid(double t) {
  return 1 / (1 + std::exp(-t));
}

TEST_F(Step, WorkedByHand) {
  // z = 0.5 (1 - (-2)) = 1.5, weight 3; z = 0.5 (0 - 0.5) = -0.25, weight 1.
  // loss = (3 softplus(-1.5) + 1 softplus(0.25)) / 4.
  const StepReport report = run({batch_of({{0, 1, 1, 3}, {3, 2, 1, 1}}, 4)});
  EXPECT_NEAR(report.mean.loss, (3 * softplus(-1.5) + softplus(0.25)) / 4, 1e-15);
  const double first = 0.5 * sigmoid(-1.5) * 3 / 4;
  const double second = 0.5 * sigmoid(0.25) / 4;
  const std::vector<double> want{-first, first, second, -second};
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(gradient()[i], want[i], 1e-15);
  }
  EXPECT_NEAR(report.grad_norm, std::sqrt(2 * (first * first + second * second)), 1e-15);
  // Means over the weights: 3/4 of the comparisons are right; rewards are 0.5 logp.
  EXPECT_NEAR(report.mean.accuracy, 0.75, 1e-15);
  EXPECT_NEAR(report.mean.margin, (3 * 1.5 - 0.25) / 4, 1e-15);
  EXPECT_NEAR(report.mean.chosen_reward, (3 * 0.5 + 0) / 4, 1e-15);
  EXPECT_NEAR(report.mean.rejected_reward, (3 * -1 + 0.25) / 4, 1e-15);
  EXPECT_NEAR(report.mean.chosen_logps, (3 * 1 + 0) / 4.0, 1e-15);
  EXPECT_NEAR(report.mean.rejected_logps, (3 * -2 + 0.5) / 4, 1e-15);
  EXPECT_EQ(report.mean.comparisons, 2);
  EXPECT_EQ(report.mean.tokens, 3);
}

TEST_F(Step, ATieIsNotAccurate) {
  const StepReport report = run({batch_of({{3, 2, 1, 1}, {2, 2, 1, 1}, {0, 1, 1, 2}}, 4)});
  EXPECT_NEAR(report.mean.accuracy, 2.0 / 4, 1e-15);
}

TEST_F(Step, OneMicroBatchAPairIsTheSameStep) {
  const Pair a{0, 1, 0.9, 3}, b{3, 2, 1, 1}, c{2, 0, 0.3, 0.25};
  const StepReport whole = run({batch_of({a, b, c}, 4)});
  const std::vector<double> want = gradient();
  const StepReport cut = run({batch_of({c}, 4), batch_of({}, 4), batch_of({b, a}, 4)});
  EXPECT_NEAR(cut.mean.loss, whole.mean.loss, 1e-15);
  EXPECT_NEAR(cut.mean.margin, whole.mean.margin, 1e-15);
  EXPECT_NEAR(cut.grad_norm, whole.grad_norm, 1e-15);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(gradient()[i], want[i], 1e-15);
  }
}

// The guide's batch sum: z = (3, -3) gave softplus(0) = 0.6931 and equal gradients.
TEST_F(Step, PairsAreNeverSummedBeforeTheLoss) {
  logps_S_ = f64({6, 0, -6, 0}).set_requires_grad(true);
  optimizer_ = optim::AdamW({logps_S_}, {});
  const StepReport report = run({batch_of({{0, 1, 1, 1}, {2, 3, 1, 1}}, 4)});
  // softplus(-3) = 0.0486, softplus(3) = 3.0486, mean 1.5486.
  EXPECT_NEAR(report.mean.loss, 1.548587351573742, 1e-14);
  EXPECT_NEAR(gradient()[2] / gradient()[0], sigmoid(3) / sigmoid(-3), 1e-12);
}

TEST_F(Step, MovesTheWeightsOnceAndClipsFirst) {
  const std::vector<double> before = numbers(logps_S_);
  const StepReport report = run({batch_of({{0, 1, 1, 1}}, 4)}, /*lr=*/0.01, /*max_grad_norm=*/0.1);
  EXPECT_GT(report.grad_norm, 0.1);
  const std::vector<double> g = gradient();
  EXPECT_NEAR(std::hypot(g[0], g[1]), 0.1, 1e-6);
  EXPECT_EQ(optimizer_.updates(), 1);
  const std::vector<double> after = numbers(logps_S_);
  EXPECT_NEAR(after[0] - before[0], 0.01, 1e-8);  // Adam's first step is lr in size
  EXPECT_NEAR(after[1] - before[1], -0.01, 1e-8);
  EXPECT_EQ(after[2], before[2]);
}

TEST_F(Step, ANumberThatIsNotFiniteLeavesTheWeightsAlone) {
  logps_S_.data_ptr<double>()[1] = NAN;
  const std::vector<double> before = numbers(logps_S_);
  const std::string message = tests::error_of([&] {
    run({batch_of({{0, 1, 1, 1}}, 4)}, /*lr=*/0.01);
  });
  EXPECT_THAT(message, HasSubstr("nan, gradient norm"));
  EXPECT_THAT(message, HasSubstr("weights kept as they were"));
  EXPECT_EQ(optimizer_.updates(), 0);
  const std::vector<double> after = numbers(logps_S_);
  EXPECT_EQ(after[0], before[0]);
  EXPECT_EQ(after[2], before[2]);
}

TEST_F(Step, ComparisonsThatWeighNothingMoveNothing) {
  const std::vector<double> before = numbers(logps_S_);
  const StepReport report = run({batch_of({{0, 1, 1, 0}}, 4)}, /*lr=*/0.01);
  EXPECT_EQ(numbers(logps_S_), before);
  EXPECT_EQ(report.grad_norm, 0);
  EXPECT_EQ(report.mean.loss, 0);
  EXPECT_EQ(optimizer_.updates(), 0);
}

}  // namespace
}  // namespace attune::train
