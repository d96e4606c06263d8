// A preference group as token ids: what the token cache holds and packing takes.
#pragma once

#include <cstdint>
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
  uint64_t key = 0;  ///< Hash of prompt and completions: the same content, the same key.

  /// Tokens of the packed group: the prompt once, and all completions.
  [[nodiscard]] int64_t num_tokens() const;
};

/// The content hash that EncodedGroup::key holds.
uint64_t content_key(const EncodedGroup& group);

}  // namespace attune::data
