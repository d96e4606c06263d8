#include "attune/train/batch.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "attune/core/error.h"

namespace attune::train {
namespace {

template <class T>
at::Tensor integers(const std::vector<T>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  auto* out = tensor.data_ptr<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    out[i] = static_cast<int64_t>(values[i]);
  }
  return tensor;
}

template <class T>
at::Tensor numbers(const std::vector<T>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.template data_ptr<double>());
  return tensor;
}

double sum(const at::Tensor& numbers) {
  const auto* first = numbers.const_data_ptr<double>();
  return std::accumulate(first, first + numbers.numel(), 0.0);
}

// A completion without a label of its own is what its comparisons make of it.
void add_labels(const data::PackedBatch& packed, objective::Feedback& feedback) {
  const size_t S = packed.sequences.size();
  std::vector<double> won(S, 0);
  std::vector<double> lost(S, 0);
  for (size_t p = 0; p < packed.winner.size(); ++p) {
    // A comparison that is more likely the other way round counts as that.
    const bool as_said = packed.probability[p] > 0.5;
    const double says =
        static_cast<double>(packed.weight[p]) * data::certainty(packed.probability[p]);
    won[static_cast<size_t>(as_said ? packed.winner[p] : packed.loser[p])] += says;
    lost[static_cast<size_t>(as_said ? packed.loser[p] : packed.winner[p])] += says;
  }
  std::vector<double> label(S, 0);
  std::vector<double> weight(S, 0);
  for (size_t s = 0; s < S; ++s) {
    if (packed.desirable[s] != 0) {
      label[s] = packed.desirable[s];
      weight[s] = static_cast<double>(packed.label_weight[s]);
    } else if ((won[s] > 0) != (lost[s] > 0)) {
      label[s] = won[s] > 0 ? 1 : -1;
      weight[s] = won[s] + lost[s];
    }
  }
  feedback.label_S = numbers(label);
  feedback.label_weight_S = numbers(weight);
}

// The place of a completion is how many of its group stand above it. A stranger has none.
void add_rankings(const data::PackedBatch& packed, objective::Feedback& feedback) {
  const size_t S = packed.sequences.size();
  const size_t G = packed.groups.size();
  std::vector<size_t> group(S, 0);
  std::vector<size_t> first(G, S);  // sequence of each group
  std::vector<size_t> own(G, 0);    // sequences that are no strangers; they come first
  for (size_t s = 0; s < S; ++s) {
    const auto g = static_cast<size_t>(packed.sequences[s].group);
    group[s] = g;
    first[g] = std::min(first[g], s);
    own[g] += packed.mismatched[s] ? 0 : 1;
  }
  std::vector<std::vector<data::EncodedComparison>> said(G);
  std::vector<double> weight(G, 0);
  for (size_t p = 0; p < packed.winner.size(); ++p) {
    const size_t g = group[static_cast<size_t>(packed.winner[p])];
    const auto before = static_cast<int32_t>(first[g]);
    said[g].push_back({.winner = packed.winner[p] - before,
                       .loser = packed.loser[p] - before,
                       .probability = packed.probability[p],
                       .weight = packed.weight[p]});
    weight[g] += static_cast<double>(packed.weight[p]);
  }
  std::vector<int64_t> rank(S, -1);
  for (size_t g = 0; g < G; ++g) {
    const std::optional<std::vector<int64_t>> ranks = data::ranks_of(said[g], own[g]);
    weight[g] = ranks ? weight[g] / static_cast<double>(said[g].size()) : 0;
    for (size_t k = 0; ranks && k < own[g]; ++k) {
      rank[first[g] + k] = (*ranks)[k];
    }
  }
  feedback.rank_S = integers(rank);
  feedback.group_S = integers(group);
  feedback.group_weight_G = numbers(weight);
}

}  // namespace

PreferenceBatch lift(const data::PackedBatch& packed) {
  ensure(packed.num_tokens() > 0 && !packed.row.empty(), "lift: an empty batch");
  auto tree = std::make_shared<tensor::Tree>();
  for (const data::Segment& segment : packed.segments) {
    tree->segments.push_back({segment.begin, segment.end, segment.parent});
  }
  PreferenceBatch batch;
  batch.tokens_N = integers(packed.tokens);
  batch.positions_N = integers(packed.positions);
  batch.row_keys_N = integers(packed.row_keys);
  batch.tree = std::move(tree);
  batch.row_C = integers(packed.row);
  batch.label_C = integers(packed.label);
  batch.sequence_C = integers(packed.row_sequence);
  batch.count_S = at::bincount(batch.sequence_C, {}, packed.num_sequences()).to(at::kDouble);
  batch.feedback.pairs = {.winner_P = integers(packed.winner),
                          .loser_P = integers(packed.loser),
                          .probability_P = numbers(packed.probability),
                          .weight_P = numbers(packed.weight)};
  add_labels(packed, batch.feedback);
  add_rankings(packed, batch.feedback);
  batch.feedback.score_S = numbers(packed.score);
  batch.feedback.mismatched_S = integers(packed.mismatched).to(at::kBool);
  batch.feedback.sequence_C = batch.sequence_C;
  for (const auto& [column, values] : packed.values) {
    batch.feedback.values[column] = numbers(values);
  }
  batch.weights = {.pair = sum(batch.feedback.pairs.weight_P),
                   .label = sum(batch.feedback.label_weight_S),
                   .group = sum(batch.feedback.group_weight_G)};
  batch.groups = packed.groups;
  batch.tags = packed.tags;
  for (const data::Sequence& sequence : packed.sequences) {
    batch.group_S.push_back(sequence.group);
  }
  return batch;
}

}  // namespace attune::train
