// Many groups as one flat row of tokens: no padding, each prompt once, and what prompts begin with
// together once for all of them. Plain integers, no tensors.
//
//   [ s s s s | p p p | a a a | b b | c c c c | q q q | d d | e e e ]
//
// Here prompts s p and s q begin with the same tokens s. A token sees its ancestors and its own
// past; never a sibling, never another prompt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "attune/data/encoded_group.h"

namespace attune::data {

/// A run of packed tokens: a prompt, what several prompts begin with, the rest of one, or a
/// completion.
struct Segment {
  int32_t begin = 0;    ///< First packed token.
  int32_t end = 0;      ///< One past the last; greater than `begin`.
  int32_t parent = -1;  ///< Index of the segment that this one continues; -1: none.

  bool operator==(const Segment&) const = default;
};

/// One completion.
struct Sequence {
  int32_t segment = 0;  ///< Index into PackedBatch::segments.
  int32_t group = 0;    ///< Index into PackedBatch::groups.

  bool operator==(const Sequence&) const = default;
};

/// N packed tokens of several groups, S sequences, C scored rows, P comparisons.
struct PackedBatch {
  std::vector<int32_t> tokens;     ///< [N] token ids.
  std::vector<int32_t> positions;  ///< [N] from 0; a completion goes on where its parent ends.
  /// [N] of a prompt's token, hash of all tokens up to it; of a completion's, hash of (group key,
  /// ordinal of the completion, position). The same token of the same group gets the same key in
  /// any packing. Drives dropout.
  std::vector<uint64_t> row_keys;
  /// A parent stands before its children; what prompts share stands first.
  std::vector<Segment> segments;
  std::vector<Sequence> sequences;  ///< [S] in the order of the groups, then of their completions.

  /// [C] packed token whose hidden state predicts `label`, in sequence order. The first label of a
  /// completion is predicted by the last token of its parent.
  std::vector<int32_t> row;
  std::vector<int32_t> label;         ///< [C] token id to be predicted.
  std::vector<int32_t> row_sequence;  ///< [C] index into `sequences`; never falls.

  std::vector<int32_t> winner;     ///< [P] index into `sequences`.
  std::vector<int32_t> loser;      ///< [P] index into `sequences`.
  std::vector<float> probability;  ///< [P] that the winner is preferred, in [0, 1].
  std::vector<float> weight;       ///< [P] of the comparison in the loss, 0 or more.

  std::vector<int8_t> desirable;    ///< [S] 1 desirable, -1 undesirable, 0 not said.
  std::vector<float> label_weight;  ///< [S] of `desirable` in the loss, 0 or more.
  std::vector<float> score;         ///< [S] NaN: not scored.
  std::vector<bool> mismatched;  ///< [S] another prompt's completion, there for an estimate only.
  std::map<std::string, std::vector<float>> values;  ///< By column: [S], NaN: none.

  std::vector<int64_t> groups;    ///< Index in the data set of each packed group.
  std::vector<std::string> tags;  ///< Tag of each packed group; empty: none.

  [[nodiscard]] int64_t num_tokens() const {
    return static_cast<int64_t>(tokens.size());
  }
  [[nodiscard]] int64_t num_sequences() const {
    return static_cast<int64_t>(sequences.size());
  }
  [[nodiscard]] int64_t num_comparisons() const {
    return static_cast<int64_t>(winner.size());
  }
};

/// Packs the groups in the order given, behind what their prompts share.
///
/// @param indices   Index in the data set of each group; empty: 0, 1, 2, ...
/// @param strangers  For each group, a completion of another prompt that is packed after its own,
///                   in no comparison and marked as mismatched; empty: none for any group.
/// @throws InternalError  If a group has no prompt token, a completion none, a comparison names no
///                        completion of its group, or the batch outgrows 2^31 - 1 tokens.
PackedBatch pack(std::span<const EncodedGroup> groups,
                 std::span<const int64_t> indices = {},
                 std::span<const std::vector<int32_t>> strangers = {});

/// Cuts groups into micro-batches of at most `max_tokens` packed tokens: as many as best-fit
/// decreasing makes, of like size if they fit then, too. The same for the same input, in
/// O(n log n). Every group is in exactly one micro-batch; one larger than the budget stands alone.
///
/// @param tokens_per_group  Packed tokens of each group, 0 or more.
/// @param max_tokens        The budget, > 0.
/// @return  Indices into `tokens_per_group`, ascending within a micro-batch; micro-batches ordered
///          by their first group.
std::vector<std::vector<size_t>> split_by_tokens(std::span<const int64_t> tokens_per_group,
                                                 int64_t max_tokens);

}  // namespace attune::data
