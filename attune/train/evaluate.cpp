#include "attune/train/evaluate.h"

#include <ATen/core/grad_mode.h>

#include "attune/core/stop.h"
#include "attune/train/score.h"

namespace attune::train {
namespace {

std::vector<std::vector<int64_t>> parts_of(const data::TokenCache& cache,
                                           std::span<const int64_t> groups,
                                           int64_t max_tokens) {
  std::vector<int64_t> tokens;
  for (const int64_t group : groups) {
    tokens.push_back(cache.num_tokens(group));
  }
  std::vector<std::vector<int64_t>> parts;
  for (const std::vector<size_t>& part : data::split_by_tokens(tokens, max_tokens)) {
    std::vector<int64_t>& members = parts.emplace_back();
    for (const size_t i : part) {
      members.push_back(groups[i]);
    }
  }
  return parts;
}

PreferenceBatch batch_of(const data::TokenCache& cache, std::span<const int64_t> members) {
  std::vector<data::EncodedGroup> encoded;
  for (const int64_t group : members) {
    encoded.push_back(cache.group(group));
  }
  return lift(data::pack(encoded, members));
}

void add_pairs(std::vector<PairFigures>& pairs,
               const PreferenceBatch& batch,
               const at::Tensor& reward_S) {
  const at::Tensor rewards = reward_S.to(at::kDouble).contiguous();
  const auto* reward = rewards.const_data_ptr<double>();
  const auto* winner = batch.pairs.winner_P.const_data_ptr<int64_t>();
  const auto* loser = batch.pairs.loser_P.const_data_ptr<int64_t>();
  const auto* weight = batch.pairs.weight_P.const_data_ptr<double>();
  for (int64_t p = 0; p < batch.pairs.winner_P.size(0); ++p) {
    const auto group = static_cast<size_t>(batch.group_S[static_cast<size_t>(winner[p])]);
    pairs.push_back({.group = batch.groups[group],
                     .chosen_reward = reward[winner[p]],
                     .rejected_reward = reward[loser[p]],
                     .weight = weight[p]});
  }
}

}  // namespace

std::vector<PreferenceBatch> batches_of(const data::TokenCache& cache,
                                        std::span<const int64_t> groups,
                                        int64_t max_tokens) {
  std::vector<PreferenceBatch> batches;
  for (const auto& members : parts_of(cache, groups, max_tokens)) {
    batches.push_back(batch_of(cache, members));
  }
  return batches;
}

Evaluation evaluate(const model::Decoder& model,
                    Reference& reference,
                    const objective::Objective& objective,
                    const data::TokenCache& cache,
                    std::span<const int64_t> groups,
                    int64_t max_tokens,
                    Watcher& watcher) {
  const at::NoGradGuard no_grad;
  Evaluation result;
  int64_t done = 0;
  for (const auto& members : parts_of(cache, groups, max_tokens)) {
    const PreferenceBatch batch = batch_of(cache, members);
    const objective::SequenceLogps policy = score(model, batch, {});
    const objective::TermOutput out = objective.run(policy, reference.logps(batch), batch.pairs);
    add_to(result.mean, batch, policy, out);
    add_pairs(result.pairs, batch, out.reward_S);
    done += static_cast<int64_t>(members.size());
    watcher.progress("evaluating", done, static_cast<int64_t>(groups.size()));
    if (stop_requested()) {
      throw Stopped();
    }
  }
  result.mean = result.mean.mean();
  return result;
}

}  // namespace attune::train
