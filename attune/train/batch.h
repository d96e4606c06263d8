#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include "attune/data/packed_batch.h"
#include "attune/objective/scores.h"
#include "attune/tensor/tree.h"

namespace attune::train {

/// A packed batch as tensors: N tokens, C scored rows, S sequences, P comparisons.
struct PreferenceBatch {
  at::Tensor tokens_N;     ///< int64
  at::Tensor positions_N;  ///< int64
  at::Tensor row_keys_N;   ///< int64: the same for the same token in any packing.
  std::shared_ptr<const tensor::Tree> tree;
  at::Tensor row_C;              ///< int64: the packed row that predicts label_C.
  at::Tensor label_C;            ///< int64
  at::Tensor sequence_C;         ///< int64: which sequence the label belongs to.
  at::Tensor count_S;            ///< f64: labels of each sequence.
  objective::Comparisons pairs;  ///< f64 numbers.
  double pair_weight = 0;        ///< Sum of the comparisons' weights.
  std::vector<int64_t> groups;   ///< Index in the data set of each packed group.
  std::vector<int64_t> group_S;  ///< Which of `groups` each sequence belongs to.
};

/// The same batch as tensors on the CPU.
PreferenceBatch lift(const data::PackedBatch& packed);

}  // namespace attune::train
