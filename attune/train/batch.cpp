#include "attune/train/batch.h"

#include <vector>

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

at::Tensor numbers(const std::vector<float>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
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
  batch.pairs = {.winner_P = integers(packed.winner),
                 .loser_P = integers(packed.loser),
                 .probability_P = numbers(packed.probability),
                 .weight_P = numbers(packed.weight)};
  for (const float weight : packed.weight) {
    batch.pair_weight += static_cast<double>(weight);
  }
  batch.groups = packed.groups;
  for (const data::Sequence& sequence : packed.sequences) {
    batch.group_S.push_back(sequence.group);
  }
  return batch;
}

}  // namespace attune::train
