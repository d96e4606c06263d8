#include "attune/train/step.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/stack.h>

#include "attune/core/error.h"

namespace attune::train {

Tally Tally::mean() const {
  Tally mean = *this;
  for (double* figure : {&mean.loss,
                         &mean.accuracy,
                         &mean.margin,
                         &mean.chosen_reward,
                         &mean.rejected_reward,
                         &mean.chosen_logps,
                         &mean.rejected_logps}) {
    *figure /= weight;
  }
  return mean;
}

void add_to(Tally& tally,
            const PreferenceBatch& batch,
            const objective::SequenceLogps& policy,
            const objective::TermOutput& out) {
  const at::NoGradGuard no_grad;
  const auto& [winner_P, loser_P, probability_P, weight_P] = batch.pairs;
  const at::Tensor chosen_P = out.reward_S.index_select(0, winner_P);
  const at::Tensor rejected_P = out.reward_S.index_select(0, loser_P);
  const at::Tensor sums = at::stack({(weight_P * out.loss_P).sum(),
                                     (weight_P * (chosen_P > rejected_P)).sum(),
                                     (weight_P * (chosen_P - rejected_P)).sum(),
                                     (weight_P * chosen_P).sum(),
                                     (weight_P * rejected_P).sum(),
                                     (weight_P * policy.sum_S.index_select(0, winner_P)).sum(),
                                     (weight_P * policy.sum_S.index_select(0, loser_P)).sum()})
                              .to(at::kCPU, at::kDouble);  // the one copy from the device
  const double* x = sums.const_data_ptr<double>();
  tally.weight += batch.pair_weight;
  tally.loss += x[0];
  tally.accuracy += x[1];
  tally.margin += x[2];
  tally.chosen_reward += x[3];
  tally.rejected_reward += x[4];
  tally.chosen_logps += x[5];
  tally.rejected_logps += x[6];
  tally.comparisons += winner_P.size(0);
  tally.tokens += batch.tokens_N.size(0);
}

StepReport run_step(const StepParts& parts,
                    std::span<const PreferenceBatch> micro_batches,
                    double lr) {
  double weight = 0;
  for (const PreferenceBatch& batch : micro_batches) {
    weight += batch.pair_weight;
  }
  check(weight > 0, "the pairs of this step weigh {} in all; at least one must count", weight);

  parts.optimizer->zero_grad();
  Tally tally;
  for (const PreferenceBatch& batch : micro_batches) {
    if (batch.pairs.winner_P.size(0) == 0) {
      continue;  // groups without comparisons have nothing to say
    }
    const objective::SequenceLogps reference = parts.reference(batch);
    const objective::SequenceLogps policy = parts.policy(batch);
    const objective::TermOutput out = parts.objective->run(policy, reference, batch.pairs);
    (batch.pairs.weight_P / weight * out.loss_P).sum().backward();
    add_to(tally, batch, policy, out);
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
