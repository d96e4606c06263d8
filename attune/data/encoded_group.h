// A preference group as token ids: what the token cache holds and packing takes.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attune::data {

/// One comparison between two completions of the same group.
struct EncodedComparison {
  int32_t winner = 0;       ///< Index into EncodedGroup::completions.
  int32_t loser = 0;        ///< Index into EncodedGroup::completions = {}; never equal to `winner`.
  float probability = 1.0;  ///< That the winner is preferred, in [0, 1].
  float weight = 1.0;       ///< Of this comparison in the loss, 0 or more.

  bool operator==(const EncodedComparison&) const = default;
};

/// One prompt, K completions and the comparisons between them, tokenised and truncated.
struct EncodedGroup {
  std::vector<int32_t> prompt = {};                    ///< At least one token.
  std::vector<std::vector<int32_t>> completions = {};  ///< K of them, each of at least one token.
  std::vector<EncodedComparison> comparisons = {};
  std::vector<int8_t> labels =
      {};  ///< K of them, or none: 1 desirable, -1 undesirable, 0 not said.
  std::vector<float> label_weights = {};  ///< K of them, 0 or more; or none: 1 each.
  std::vector<float> scores = {};  ///< K of them, or none: higher is better; NaN: not scored.
  /// By column of data.values: K numbers each.
  std::map<std::string, std::vector<float>> values = {};
  std::string tag = {};  ///< What robust weighting and mixing go by; empty: none.
  uint64_t key = 0;      ///< Hash of prompt and completions: the same content, the same key.

  /// Tokens of the packed group: the prompt once, and all completions.
  [[nodiscard]] int64_t num_tokens() const;
};

/// What there is to learn from in a group, by what a loss may be a list over.
struct GroupItems {
  bool compared = false;     ///< At least one comparison of a weight above 0.
  bool desirable = false;    ///< At least one completion is: by a label of a weight above 0, or
                             ///< because it has none and wins only.
  bool undesirable = false;  ///< The same of completions that are not, or lose only.
  bool ranked = false;       ///< ranks_of() the comparisons; they weigh more than 0 together.
  bool scored = false;       ///< Every completion has a score.

  [[nodiscard]] bool labelled() const {
    return desirable || undesirable;
  }
  bool operator==(const GroupItems&) const = default;
};

/// How sure a comparison is of its winner: |2 p - 1| of its probability p, in [0, 1]. It is what is
/// left of a weight 1 once p of it says one thing and 1 - p the opposite.
inline double certainty(float probability) {
  return std::abs(2 * static_cast<double>(probability) - 1);
}

/// The order that comparisons, all certain and each there once, put K completions in: how many of
/// them are better than each. Ties share a rank: an order compares every completion with all that
/// are better or worse, and with no other.
///
/// @return  K ranks from 0 up; nothing if the comparisons are none or not those of an order.
std::optional<std::vector<int64_t>> ranks_of(std::span<const EncodedComparison> comparisons,
                                             size_t K);

/// The items of a group: what attune/train/batch.h makes labels and rankings of.
GroupItems items_of(const EncodedGroup& group);

/// The content hash that EncodedGroup::key holds.
uint64_t content_key(const EncodedGroup& group);

}  // namespace attune::data
