#include "attune/train/evaluate.h"

#include <algorithm>
#include <unordered_map>

#include <ATen/core/grad_mode.h>

#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/train/joined.h"
#include "attune/train/score.h"

namespace attune::train {
namespace {

// So many groups are one step to the objective when it evaluates: terms that couple their items
// take memory with the square of a step.
constexpr size_t kGroupsAtOnce = 256;

// For each group a completion of the next one of another prompt, in the order given; none if there
// is one prompt only, whose own would be no strangers.
using Strangers = std::unordered_map<int64_t, std::vector<int32_t>>;

std::vector<std::vector<int64_t>> parts_of(const data::TokenCache& cache,
                                           std::span<const int64_t> groups,
                                           const Strangers& strangers,
                                           int64_t max_tokens) {
  std::vector<int64_t> tokens;
  for (const int64_t group : groups) {
    const auto stranger = strangers.find(group);
    tokens.push_back(
        cache.num_tokens(group) +
        (stranger == strangers.end() ? 0 : static_cast<int64_t>(stranger->second.size())));
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

// Of prompt and one completion.
size_t longest_text(const data::EncodedGroup& group) {
  size_t longest = 0;
  for (const std::vector<int32_t>& completion : group.completions) {
    longest = std::max(longest, completion.size());
  }
  return group.prompt.size() + longest;
}

Strangers strangers_of(const data::TokenCache& cache,
                       std::span<const int64_t> groups,
                       const objective::Objective& objective) {
  Strangers strangers;
  if (!objective.needs().mismatched || groups.empty()) {
    return strangers;
  }
  const auto prompt = [&](int64_t group) { return cache.prompt_hash(group); };
  const auto found = std::find_if(groups.begin(), groups.end(), [&](int64_t group) {
    return prompt(group) != prompt(groups.back());
  });
  if (found == groups.end()) {
    return strangers;
  }
  // A stranger behind a long prompt is cut where the longest text of these groups ends: that fits
  // the model's window.
  size_t longest = 0;
  for (const int64_t group : groups) {
    longest = std::max(longest, longest_text(cache.group(group)));
  }
  int64_t other = *found;
  for (size_t i = groups.size(); i-- > 0;) {
    const int64_t next = groups[(i + 1) % groups.size()];
    other = prompt(next) != prompt(groups[i]) ? next : other;
    const auto completions = cache.group(other).completions;
    std::vector<int32_t>& stranger = strangers[groups[i]];
    stranger = completions[i % completions.size()];
    const size_t room = longest - cache.group(groups[i]).prompt.size();
    stranger.resize(std::min(stranger.size(), room));
  }
  return strangers;
}

PreferenceBatch batch_of(const data::TokenCache& cache,
                         std::span<const int64_t> members,
                         const Strangers& strangers) {
  std::vector<data::EncodedGroup> encoded;
  std::vector<std::vector<int32_t>> others;
  for (const int64_t group : members) {
    encoded.push_back(cache.group(group));
    if (!strangers.empty()) {
      others.push_back(strangers.at(group));
    }
  }
  return lift(data::pack(encoded, members, others));
}

void add_pairs(std::vector<PairFigures>& pairs,
               const std::vector<int64_t>& group_S,
               const objective::TermInput& in,
               const at::Tensor& reward_S) {
  const at::Tensor rewards = reward_S.to(at::kDouble).contiguous();
  const auto* reward = rewards.const_data_ptr<double>();
  const auto* winner = in.feedback.pairs.winner_P.const_data_ptr<int64_t>();
  const auto* loser = in.feedback.pairs.loser_P.const_data_ptr<int64_t>();
  const auto* weight = in.feedback.pairs.weight_P.const_data_ptr<double>();
  for (int64_t p = 0; p < in.feedback.pairs.winner_P.size(0); ++p) {
    pairs.push_back({.group = group_S[static_cast<size_t>(winner[p])],
                     .chosen_reward = reward[winner[p]],
                     .rejected_reward = reward[loser[p]],
                     .weight = weight[p]});
  }
}

}  // namespace

PreferenceBatch batch_of(const data::TokenCache& cache, std::span<const int64_t> groups) {
  return batch_of(cache, groups, {});
}

std::vector<PreferenceBatch> batches_of(const data::TokenCache& cache,
                                        std::span<const int64_t> groups,
                                        const objective::Objective& objective,
                                        int64_t max_tokens) {
  const Strangers strangers = strangers_of(cache, groups, objective);
  std::vector<PreferenceBatch> batches;
  for (const auto& members : parts_of(cache, groups, strangers, max_tokens)) {
    batches.push_back(batch_of(cache, members, strangers));
  }
  return batches;
}

ScoreOptions score_options(const objective::Objective& objective,
                           Reference& reference,
                           const PreferenceBatch& batch) {
  ScoreOptions options{.needs = objective.needs()};
  if (options.needs.divergence) {
    options.reference = reference.rows(batch);
  }
  return options;
}

Evaluation evaluate(const model::Decoder& model,
                    Reference& reference,
                    const objective::Objective& objective,
                    const data::TokenCache& cache,
                    std::span<const int64_t> groups,
                    int64_t max_tokens,
                    Watcher& watcher,
                    objective::Objective::State* state) {
  const at::NoGradGuard no_grad;
  const Strangers strangers = strangers_of(cache, groups, objective);
  struct Chunk {
    Joined joined;
    std::vector<int64_t> group_S = {};  // index in the data set
  };
  std::vector<Chunk> chunks;
  objective::UnitWeights weights;
  int64_t done = 0;
  int64_t tokens = 0;
  for (size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
    const auto own = groups.subspan(first, std::min(kGroupsAtOnce, groups.size() - first));
    Chunk& chunk = chunks.emplace_back();
    for (const auto& members : parts_of(cache, own, strangers, max_tokens)) {
      const PreferenceBatch batch = batch_of(cache, members, strangers);
      const objective::SequenceLogps frozen = reference.logps(batch);
      chunk.joined.add(
          batch, score(model, batch, {}, score_options(objective, reference, batch)), frozen);
      tokens += batch.tokens_N.size(0);
      weights += batch.weights;
      for (const int64_t group : batch.group_S) {
        chunk.group_S.push_back(batch.groups[static_cast<size_t>(group)]);
      }
      done += static_cast<int64_t>(members.size());
      watcher.progress("evaluating", done, static_cast<int64_t>(groups.size()));
      if (stop_requested()) {
        throw Stopped();
      }
    }
  }
  Evaluation result;
  bool any = false;
  for (const Chunk& chunk : chunks) {
    const objective::TermInput in = chunk.joined.input();
    const objective::ObjectiveOutput out = objective.run(in, weights, state);
    if (out.loss.defined()) {
      any = true;
      add_to(result.mean, in, out);
      add_pairs(result.pairs, chunk.group_S, in, out.reward_S);
    }
  }
  check(any,
        "the held-out rows weigh 0 in all, or none is of the kind that the objective compares");
  result.mean = result.mean.mean();
  result.mean.tokens = tokens;
  return result;
}

}  // namespace attune::train
