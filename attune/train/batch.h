#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/data/packed_batch.h"
#include "attune/objective/term.h"
#include "attune/tensor/tree.h"

namespace attune::train {

/// A packed batch as tensors: N tokens, C scored rows, S sequences, P comparisons.
struct PreferenceBatch {
  at::Tensor tokens_N;     ///< int64
  at::Tensor positions_N;  ///< int64
  at::Tensor row_keys_N;   ///< int64: the same for the same token in any packing.
  std::shared_ptr<const tensor::Tree> tree;
  at::Tensor row_C;                ///< int64: the packed row that predicts label_C.
  at::Tensor label_C;              ///< int64
  at::Tensor sequence_C;           ///< int64: which sequence the label belongs to.
  at::Tensor count_S;              ///< f64: labels of each sequence.
  objective::Feedback feedback;    ///< f64 numbers.
  objective::UnitWeights weights;  ///< Sums over the batch.
  std::vector<int64_t> groups;     ///< Index in the data set of each packed group.
  std::vector<std::string> tags;   ///< Tag of each packed group; empty: none.
  std::vector<int64_t> group_S;    ///< Which of `groups` each sequence belongs to.
};

/// The same batch as tensors on the CPU.
///
/// A label of a completion's own weighs what its row says. A completion without one is desirable if
/// it only ever wins, undesirable if it only ever loses: a comparison of weight w that is preferred
/// with probability p gives its completions labels of weight w (2p - 1), the other way round where
/// p < 1/2. So a certain one weighs w and a tie nothing, as if w people had been asked of whom a
/// share p said one thing and 1 - p the opposite, which takes back as much. Several add up.
///
/// A group is ranked if data::ranks_of its comparisons; the ranking weighs what they weigh on
/// average.
PreferenceBatch lift(const data::PackedBatch& packed);

}  // namespace attune::train
