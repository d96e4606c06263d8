// The guide's classes: its own shapes, and each of its mistakes.
#include "attune/train/dpo_trainer.h"

#include <cmath>

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "tests/train/support.h"

namespace attune::tests {
namespace {

using testing::HasSubstr;
using train::PairBatch;

/// Sequences by their names: one number for each, which is its log-prob.
using Names = std::vector<int64_t>;

/// The smallest true model: a table of log-probs.
class Table : public train::PolicyModel<Names> {
 public:
  explicit Table(std::vector<double> logps) : table_(at::tensor(logps, at::kDouble)) {
    table_.set_requires_grad(true);
  }
  at::Tensor logps(const Names& x) override {
    saw_gradients = at::GradMode::is_enabled();
    return table_.index_select(0, at::tensor(x, at::kLong));
  }
  std::vector<at::Tensor> parameters() override {
    return {table_};
  }
  const at::Tensor& table() const {
    return table_;
  }
  bool saw_gradients = false;

 private:
  at::Tensor table_;
};

at::Tensor integers(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

at::Tensor leaf(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).set_requires_grad(true);
}

double item(const at::Tensor& x) {
  return x.item<double>();
}

PairBatch<Names> one_pair() {
  return {.x = {0, 1}, .yw_idxs = integers({0}), .yl_idxs = integers({1})};
}

struct Pair {
  Table model{{-3.0, -2.0, -5.0, -7.0}};
  Table reference{{-3.0, -2.0, -5.0, -7.0}};
};

// B = 4 sequences, T = 3 comparisons, beta = 0.5.
//   h      = pi - ref = (1, -1, 2, 0)
//   z      = 0.5 (h_w - h_l) for (0,1), (2,3), (3,0) = (1, 1, -0.5)
//   loss   = mean log(1 + e^-z) = (0.3132617 + 0.3132617 + 0.9740770) / 3 = 0.5335335
//   reward = 0.5 h
TEST(DpoTrainer, LossAndRewardsAreAsWorkedByHand) {
  Pair pair;
  const train::DPOTrainer<Names> trainer(pair.model, pair.reference, 0.5);
  const at::Tensor pi = leaf({-2, -3, -3, -7});
  const auto [loss, rewards] = trainer.compute_loss(
      pi, at::tensor({-3., -2., -5., -7.}), integers({0, 2, 3}), integers({1, 3, 0}));
  EXPECT_NEAR(item(loss), 0.5335335, 1e-7);
  EXPECT_EQ(numbers(rewards), (std::vector<double>{0.5, -0.5, 1, 0}));
  EXPECT_FALSE(rewards.requires_grad());
  EXPECT_TRUE(loss.requires_grad());
}

// The guide's `.sum(-1)` adds the pairs of the batch before the logistic, so that z = (3, -3) looks
// like no preference at all: log 2 = 0.6931. Per pair it is
//   (log(1 + e^-3) + log(1 + e^3)) / 2 = (0.0485874 + 3.0485874) / 2 = 1.5485874
TEST(DpoTrainer, PairsOfABatchDoNotCancel) {
  Pair pair;
  const train::ProbabilisticDPOTrainer<Names> trainer(pair.model, pair.reference, 1.0);
  const at::Tensor pi = leaf({3, 0, 0, 3});
  const at::Tensor ref = at::zeros({4}, at::kDouble);
  const at::Tensor yw = integers({0, 2});
  const at::Tensor yl = integers({1, 3});
  EXPECT_NEAR(item(trainer.compute_loss(pi, ref, yw, yl).loss), 1.5485874, 1e-7);
  EXPECT_NEAR(
      item(trainer.compute_loss(pi, ref, yw, yl, at::ones({}, at::kDouble)).loss), 1.5485874, 1e-7);
}

// And it leaves the reference out: with pi = ref every z is 0, whatever the log-probs.
TEST(DpoTrainer, TheProbabilisticLossKeepsTheReference) {
  Pair pair;
  const train::ProbabilisticDPOTrainer<Names> trainer(pair.model, pair.reference);
  const at::Tensor pi = leaf({-3, -40});
  const auto result =
      trainer.compute_loss(pi, pi, integers({0}), integers({1}), at::tensor({0.7}, at::kDouble));
  EXPECT_NEAR(item(result.loss), std::log(2), 1e-12);
}

// z = 1: loss = -p log s(1) - (1 - p) log s(-1) = 0.3132617 p + 1.3132617 (1 - p)
//   p = 0.8: 0.5132617;  p = (0.8, 0.25): (0.5132617 + 1.0632617) / 2 = 0.7882617
TEST(DpoTrainer, PreferenceProbabilitiesAreOneNumberOrOneAPair) {
  Pair pair;
  const train::ProbabilisticDPOTrainer<Names> trainer(pair.model, pair.reference, 1.0);
  const at::Tensor pi = leaf({1, 0});
  const at::Tensor ref = at::zeros({2}, at::kDouble);
  const at::Tensor yw = integers({0, 0});
  const at::Tensor yl = integers({1, 1});
  const auto loss = [&](const std::vector<double>& p) {
    return item(trainer.compute_loss(pi, ref, yw, yl, at::tensor(p, at::kDouble)).loss);
  };
  EXPECT_NEAR(loss({0.8}), 0.5132617, 1e-7);
  EXPECT_NEAR(loss({0.8, 0.25}), 0.7882617, 1e-7);
  EXPECT_THAT(error_of([&] { loss({0.1, 0.2, 0.3}); }), HasSubstr("preference_prob must be"));
  EXPECT_THAT(error_of([&] { loss({1.5}); }), HasSubstr("must lie in [0, 1]"));
}

// log_softmax(-1) of a batch is (B, L, V): a distribution per position, no log-prob.
TEST(DpoTrainer, ADistributionPerPositionIsRefused) {
  Pair pair;
  const train::DPOTrainer<Names> trainer(pair.model, pair.reference);
  const at::Tensor whole_BLV = at::log_softmax(normal({2, 5, 11}, 1), -1);
  const at::Tensor ref = at::zeros({2}, at::kDouble);
  const std::string message = error_of([&] {
    static_cast<void>(trainer.compute_loss(whole_BLV, ref, integers({0}), integers({1})));
  });
  EXPECT_THAT(message,
              HasSubstr("pi_logps must be one log-prob per sequence, (B), got [2, 5, 11]"));
  EXPECT_THAT(message, HasSubstr("gather the labels, mask to the completion and sum"));
}

// Two sequences of three tokens over a vocabulary of two; uniform rows give log 1/2 a token. Only
// tokens 1 and 2 of the first and token 2 of the second count.
TEST(DpoTrainer, SequenceLogpsGathersShiftsMasksAndSums) {
  at::Tensor logits_BLV = at::zeros({2, 3, 2}, at::kDouble);
  // The row before token 2 of the second sequence prefers id 1 by log 3: p(1) = 3/4.
  logits_BLV[1][1][1] = std::log(3);
  logits_BLV[0][2][0] = 100;  // predicts what comes after the end: must not count
  const at::Tensor tokens_BL = integers({0, 1, 1, 0, 0, 1}).view({2, 3});
  const at::Tensor completion_BL = integers({0, 1, 1, 0, 0, 1}).view({2, 3}).to(at::kBool);
  const at::Tensor logps = train::sequence_logps(logits_BLV, tokens_BL, completion_BL);
  EXPECT_NEAR(item(logps[0]), 2 * std::log(0.5), 1e-12);
  EXPECT_NEAR(item(logps[1]), std::log(0.75), 1e-12);
  EXPECT_THAT(error_of([&] { train::sequence_logps(logits_BLV[0], tokens_BL, completion_BL); }),
              HasSubstr("sequence_logps wants logits (B, L, V)"));
}

TEST(DpoTrainer, TheReferencePassCarriesNoGraphAndStays) {
  Pair pair;
  train::DPOTrainer<Names> trainer(pair.model, pair.reference, 0.1, 0.01);
  const at::Tensor before = pair.reference.table().detach().clone();
  trainer.train_step(one_pair());
  EXPECT_FALSE(pair.reference.saw_gradients);
  EXPECT_TRUE(pair.model.saw_gradients);
  EXPECT_FALSE(pair.reference.table().grad().defined());
  EXPECT_TRUE(same_bits(before, pair.reference.table()));
}

// Also when a user computes the reference with autograd on.
TEST(DpoTrainer, AGraphOfTheReferenceIsCutOff) {
  Pair pair;
  const train::DPOTrainer<Names> trainer(pair.model, pair.reference);
  const at::Tensor pi = leaf({-1, -2});
  const at::Tensor ref = leaf({-1, -2});
  trainer.compute_loss(pi, ref, integers({0}), integers({1})).loss.backward();
  EXPECT_FALSE(ref.grad().defined());
  // dloss/dpi_w = -beta s(-z) = -0.1 / 2
  EXPECT_NEAR(item(pi.grad()[0]), -0.05, 1e-12);
}

TEST(DpoTrainer, AReferenceThatWouldMoveIsRefused) {
  Table model({-1.0, -2.0});
  EXPECT_THAT(error_of([&] { train::DPOTrainer<Names>(model, model); }),
              HasSubstr("the reference would move with the policy"));
}

// AdamW's first step moves each number by lr: m / (sqrt(v) + eps) = sign(g).
TEST(DpoTrainer, AStepRaisesThePreferredAndGivesTheLossBeforeIt) {
  Pair pair;
  train::DPOTrainer<Names> trainer(pair.model, pair.reference, 0.1, 0.01);
  EXPECT_NEAR(trainer.train_step(one_pair()), std::log(2), 1e-12);
  EXPECT_NEAR(item(pair.model.table()[0]), -3 + 0.01, 1e-6);
  EXPECT_NEAR(item(pair.model.table()[1]), -2 - 0.01, 1e-6);
  // z = 0.1 (0.01 + 0.01) = 0.002: log(1 + e^-0.002) = 0.6921477
  EXPECT_NEAR(trainer.train_step(one_pair()), 0.6921477, 1e-6);
}

TEST(DpoTrainer, ATrainStepOfTheProbabilisticTrainerReadsTheProbability) {
  Pair pair;
  train::ProbabilisticDPOTrainer<Names> trainer(pair.model, pair.reference, 0.1, 0.01);
  PairBatch<Names> batch = one_pair();
  batch.preference_prob = at::tensor({0.0}, at::kDouble);  // the other one is preferred
  trainer.train_step(batch);
  EXPECT_LT(item(pair.model.table()[0]), -3);
  EXPECT_GT(item(pair.model.table()[1]), -2);
}

using Constitutional = train::ConstitutionalDPOTrainer<Names>;

// relu(unsafe_score - 0.5) of fixed text: whatever the score, the parameters cannot change it.
TEST(DpoTrainer, AConstantPenaltyHasNoGradientAndIsRefused) {
  Pair pair;
  const at::Tensor unsafe_score = at::tensor({0.9}, at::kDouble);
  const at::Tensor penalty = at::relu(unsafe_score - 0.5).sum();
  EXPECT_FALSE(penalty.requires_grad());
  Constitutional trainer(
      pair.model,
      pair.reference,
      0.1,
      0.01,
      {[&](auto&, const auto&, const auto&, const auto&, const auto&) { return penalty; }});
  EXPECT_THAT(error_of([&] { trainer.train_step(one_pair()); }),
              HasSubstr("constraint 1 carries no gradient"));
}

// The same score weighed with the policy's own probability of the text has one. With p = e^pi and
// penalty 2 relu(p - 0.01) the sum is added to the loss, not to a pair of loss and rewards:
//   pi = (-3, -2), ref = (-3, -2): loss = log 2 + 2 (e^-2 - 0.01) = 0.6931472 + 0.2506706
TEST(DpoTrainer, AConstraintIsAddedToTheLossAndChangesTheGradient) {
  Pair pair;
  int calls = 0;
  const Constitutional trainer(pair.model,
                               pair.reference,
                               0.1,
                               0.01,
                               {[&](auto& model,
                                    const at::Tensor& pi,
                                    const at::Tensor& ref,
                                    const auto&,
                                    const at::Tensor& yl) {
                                 ++calls;
                                 EXPECT_EQ(&model, &pair.model);
                                 EXPECT_FALSE(ref.requires_grad());
                                 return 2 * at::relu(pi.index_select(0, yl).exp() - 0.01).sum();
                               }});
  const at::Tensor pi = leaf({-3, -2});
  const auto [loss, rewards] =
      trainer.compute_loss(pi, at::tensor({-3., -2.}), integers({0}), integers({1}));
  EXPECT_EQ(calls, 1);
  EXPECT_NEAR(item(loss), 0.6931472 + 0.2506706, 1e-6);
  EXPECT_EQ(rewards.sizes(), at::IntArrayRef({2}));
  loss.backward();
  // beta / 2 + 2 e^-2 = 0.05 + 0.2706706
  EXPECT_NEAR(item(pi.grad()[1]), 0.3206706, 1e-6);
  EXPECT_NEAR(item(pi.grad()[0]), -0.05, 1e-12);
}

TEST(DpoTrainer, WrongIndicesAreNamed) {
  Pair pair;
  const train::DPOTrainer<Names> trainer(pair.model, pair.reference);
  const at::Tensor pi = leaf({-1, -2});
  const auto message = [&](const at::Tensor& yw, const at::Tensor& yl) {
    return error_of([&] { static_cast<void>(trainer.compute_loss(pi, pi, yw, yl)); });
  };
  EXPECT_THAT(message(integers({0}), integers({2})),
              HasSubstr("yl_idxs must lie in [0, 2), the sequences of the batch, got 2"));
  EXPECT_THAT(message(integers({-1}), integers({1})), HasSubstr("yw_idxs must lie in [0, 2)"));
  EXPECT_THAT(message(integers({0, 1}), integers({1})), HasSubstr("yl_idxs must have 2 entries"));
  EXPECT_THAT(message(integers({}), integers({})), HasSubstr("no comparison"));
  EXPECT_THAT(message(at::tensor({0.0}), integers({1})), HasSubstr("type int64"));
}

// A loss that is not finite must leave the weights alone.
TEST(DpoTrainer, ALossThatIsNotFiniteChangesNothing) {
  Table model({-3.0, std::nan("")});
  Table reference({-3.0, -2.0});
  train::DPOTrainer<Names> trainer(model, reference);
  EXPECT_THAT(error_of([&] { trainer.train_step(one_pair()); }), HasSubstr("weights kept"));
  EXPECT_EQ(item(model.table()[0]), -3);
}

// attune's own decoder: LoRA on q_proj and v_proj, the reference is the model with it off.
TEST(DpoTrainer, TheDecoderTrainsItsAdapterAgainstItself) {
  const auto decoder = load(golden("models/smollm2"));
  const GoldenGroups groups;
  train::DecoderPolicy policy(*decoder);
  train::DPOTrainerWithLoRA<train::PreferenceBatch> trainer(policy, nullptr, 0.1, 1e-2, 5);
  // 3 layers x (q: 5 (36 + 36) + v: 5 (36 + 18)) = 1,890 numbers
  int64_t trained = 0;
  for (const at::Tensor& parameter : trainer.parameters()) {
    trained += parameter.numel();
  }
  EXPECT_EQ(trained, 1890);
  std::vector<at::Tensor> base;
  decoder->each_weight([&](const auto&, at::Tensor& w) { base.push_back(w.clone()); });

  PairBatch<train::PreferenceBatch> batch{.x = groups.batch({0, 1}), .yw_idxs = {}, .yl_idxs = {}};
  batch.yw_idxs = batch.x.feedback.pairs.winner_P;
  batch.yl_idxs = batch.x.feedback.pairs.loser_P;
  const double first = trainer.train_step(batch);
  EXPECT_NEAR(first, std::log(2), 1e-6);  // a new adapter changes nothing
  double last = first;
  for (int step = 0; step < 8; ++step) {
    last = trainer.train_step(batch);
  }
  EXPECT_LT(last, first - 0.05);
  size_t i = 0;
  decoder->each_weight(
      [&](const auto& name, at::Tensor& w) { EXPECT_TRUE(same_bits(w, base[i++])) << name; });
}

// Rank 8, alpha 32, dropout 0.05, on q_proj and v_proj: the guide's numbers.
TEST(DpoTrainer, LoraHasTheGuidesDefaults) {
  const auto decoder = load(golden("models/smollm2"));
  train::DecoderPolicy policy(*decoder);
  const train::DPOTrainerWithLoRA<train::PreferenceBatch> trainer(policy);
  int adapted = 0;
  decoder->each_linear([&](const std::string& path, const adapter::Linear& linear) {
    const bool wanted = path.ends_with("q_proj") || path.ends_with("v_proj");
    EXPECT_EQ(linear.lora.has_value(), wanted) << path;
    if (linear.lora) {
      ++adapted;
      EXPECT_EQ(linear.lora->a_RI.size(0), 8);
      EXPECT_EQ(linear.lora->alpha, 32);
      EXPECT_EQ(linear.lora->dropout, 0.05);
      EXPECT_FALSE(linear.lora->rslora);
    }
  });
  EXPECT_EQ(adapted, 6);
}

}  // namespace
}  // namespace attune::tests
