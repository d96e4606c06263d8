#include "attune/train/step.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/stack.h>

#include "attune/core/error.h"
#include "attune/train/joined.h"

namespace attune::train {
namespace {

using objective::SequenceLogps;
using objective::TermInput;

// What is chosen and what is rejected, each with its weights: by comparisons, or by labels where
// there are none.
struct Sides {
  at::Tensor right;  // weight of what the reward gets right
  at::Tensor chosen_weight, chosen_reward, chosen_logps;
  at::Tensor rejected_weight, rejected_reward, rejected_logps;
};

Sides sides_of_pairs(const TermInput& in, const at::Tensor& reward_S) {
  const auto& [winner_P, loser_P, probability_P, weight_P] = in.feedback.pairs;
  const at::Tensor chosen_P = reward_S.index_select(0, winner_P);
  const at::Tensor rejected_P = reward_S.index_select(0, loser_P);
  return {.right = weight_P * (chosen_P > rejected_P),
          .chosen_weight = weight_P,
          .chosen_reward = weight_P * chosen_P,
          .chosen_logps = weight_P * in.policy.sum_S.index_select(0, winner_P),
          .rejected_weight = weight_P,
          .rejected_reward = weight_P * rejected_P,
          .rejected_logps = weight_P * in.policy.sum_S.index_select(0, loser_P)};
}

Sides sides_of_labels(const TermInput& in, const at::Tensor& reward_S) {
  const at::Tensor& label_S = in.feedback.label_S;
  const at::Tensor chosen_S = in.feedback.label_weight_S * (label_S > 0);
  const at::Tensor rejected_S = in.feedback.label_weight_S * (label_S < 0);
  return {.right = in.feedback.label_weight_S * (label_S * reward_S > 0),
          .chosen_weight = chosen_S,
          .chosen_reward = chosen_S * reward_S,
          .chosen_logps = chosen_S * in.policy.sum_S,
          .rejected_weight = rejected_S,
          .rejected_reward = rejected_S * reward_S,
          .rejected_logps = rejected_S * in.policy.sum_S};
}

void tell(const StepParts& parts,
          std::span<const PreferenceBatch> batches,
          const objective::ObjectiveOutput& out) {
  if (parts.hear) {
    parts.hear(batches, out);
  }
}

// Adds what one batch, or a whole step, makes of the objective: its figures, and its gradients.
void run_batch(const StepParts& parts,
               const objective::UnitWeights& weights,
               const PreferenceBatch& batch,
               Tally& tally) {
  const SequenceLogps reference = parts.reference(batch);
  const TermInput in{.policy = parts.policy(batch),
                     .reference = reference,
                     .feedback = batch.feedback,
                     .training = true};
  const objective::ObjectiveOutput out = parts.objective->run(in, weights, parts.state);
  if (out.loss.defined()) {
    out.loss.backward();
    add_to(tally, in, out);
    tell(parts, {&batch, 1}, out);
  }
}

// The tensors of the policy's log-probs that carry gradients.
std::vector<at::Tensor*> slopes_of(SequenceLogps& policy) {
  std::vector<at::Tensor*> list;
  for (at::Tensor* tensor : {&policy.sum_S, &policy.token_C, &policy.divergence_S}) {
    if (tensor->defined()) {
      list.push_back(tensor);
    }
  }
  return list;
}

// The log-probs of all batches first, then the loss and its slope with respect to them, then each
// batch's model with that slope.
void run_joined(const StepParts& parts,
                const objective::UnitWeights& weights,
                std::span<const PreferenceBatch> batches,
                Tally& tally) {
  Joined joined;
  for (const PreferenceBatch& batch : batches) {
    const at::NoGradGuard no_grad;
    const SequenceLogps reference = parts.reference(batch);
    joined.add(batch, parts.policy(batch), reference);
  }
  TermInput in = joined.input();
  in.training = true;
  const std::vector<at::Tensor*> leaves = slopes_of(in.policy);
  for (at::Tensor* leaf : leaves) {
    leaf->set_requires_grad(true);
  }
  const objective::ObjectiveOutput out = parts.objective->run(in, weights, parts.state);
  if (!out.loss.defined()) {
    return;
  }
  out.loss.backward();
  add_to(tally, in, out);
  tell(parts, batches, out);

  std::vector<int64_t> at(leaves.size(), 0);
  for (const PreferenceBatch& batch : batches) {
    SequenceLogps policy = parts.policy(batch);
    at::Tensor pulled;
    const std::vector<at::Tensor*> own = slopes_of(policy);
    for (size_t i = 0; i < own.size(); ++i) {
      const int64_t size = own[i]->size(0);
      if (leaves[i]->grad().defined()) {
        const at::Tensor part = (*own[i] * leaves[i]->grad().narrow(0, at[i], size)).sum();
        pulled = pulled.defined() ? pulled + part : part;
      }
      at[i] += size;
    }
    if (pulled.defined()) {
      pulled.backward();
    }
  }
}

}  // namespace

Tally Tally::mean() const {
  Tally mean = *this;
  const auto divide = [](double& figure, double by) { figure = by > 0 ? figure / by : 0; };
  divide(mean.accuracy, weight);
  divide(mean.chosen_reward, chosen_weight);
  divide(mean.chosen_logps, chosen_weight);
  divide(mean.rejected_reward, rejected_weight);
  divide(mean.rejected_logps, rejected_weight);
  mean.margin = mean.chosen_reward - mean.rejected_reward;
  return mean;
}

void add_to(Tally& tally, const TermInput& in, const objective::ObjectiveOutput& out) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, value] : out.figures) {
    tally.figures[name] = value;
  }
  const bool compared = in.feedback.pairs.winner_P.size(0) > 0;
  if (tally.compared && !compared) {
    tally.loss += out.loss.item<double>();
    return;
  }
  if (compared && !tally.compared) {  // the labels of the batches before do not count
    tally = {
        .compared = true, .loss = tally.loss, .tokens = tally.tokens, .figures = tally.figures};
  }
  const Sides sides =
      compared ? sides_of_pairs(in, out.reward_S) : sides_of_labels(in, out.reward_S);
  const at::Tensor sums = at::stack({out.loss.detach(),
                                     sides.right.sum(),
                                     sides.chosen_weight.sum(),
                                     sides.chosen_reward.sum(),
                                     sides.chosen_logps.sum(),
                                     sides.rejected_weight.sum(),
                                     sides.rejected_reward.sum(),
                                     sides.rejected_logps.sum()})
                              .to(at::kCPU, at::kDouble);  // the one copy from the device
  const double* x = sums.const_data_ptr<double>();
  tally.loss += x[0];
  tally.weight += compared ? x[2] : x[2] + x[5];
  tally.accuracy += x[1];
  tally.chosen_weight += x[2];
  tally.chosen_reward += x[3];
  tally.chosen_logps += x[4];
  tally.rejected_weight += x[5];
  tally.rejected_reward += x[6];
  tally.rejected_logps += x[7];
  tally.comparisons +=
      compared ? sides.right.size(0) : (in.feedback.label_weight_S > 0).sum().item<int64_t>();
}

StepReport run_step(const StepParts& parts,
                    std::span<const PreferenceBatch> micro_batches,
                    double lr) {
  objective::UnitWeights weights;
  for (const PreferenceBatch& batch : micro_batches) {
    weights += batch.weights;
  }
  parts.optimizer->zero_grad();
  Tally tally;
  if (parts.objective->needs().whole_step && micro_batches.size() > 1) {
    run_joined(parts, weights, micro_batches, tally);
  } else {
    for (const PreferenceBatch& batch : micro_batches) {
      run_batch(parts, weights, batch, tally);
    }
  }
  for (const PreferenceBatch& batch : micro_batches) {
    tally.tokens += batch.tokens_N.size(0);
  }

  if (tally.weight == 0) {
    return {.mean = tally.mean(), .grad_norm = 0};  // rows that weigh 0 move nothing
  }
  const StepReport report{.mean = tally.mean(),
                          .grad_norm = optim::grad_norm(parts.optimizer->parameters())};
  check(std::isfinite(report.mean.loss) && std::isfinite(report.grad_norm),
        "loss {}, gradient norm {}: weights kept as they were; lower optim.lr or raise beta",
        report.mean.loss,
        report.grad_norm);
  optim::clip_gradients(parts.optimizer->parameters(), report.grad_norm, parts.max_grad_norm);
  parts.optimizer->step(lr);
  return report;
}

}  // namespace attune::train
