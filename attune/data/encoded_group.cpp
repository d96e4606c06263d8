#include "attune/data/encoded_group.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "attune/core/hash.h"

namespace attune::data {

int64_t EncodedGroup::num_tokens() const {
  auto total = static_cast<int64_t>(prompt.size());
  for (const std::vector<int32_t>& completion : completions) {
    total += static_cast<int64_t>(completion.size());
  }
  return total;
}

std::optional<std::vector<int64_t>> ranks_of(std::span<const EncodedComparison> comparisons,
                                             size_t K) {
  std::vector<int64_t> losses(K, 0);
  std::vector<std::pair<int32_t, int32_t>> said;
  for (const EncodedComparison& one : comparisons) {
    if (one.probability != 1.0F) {
      return std::nullopt;
    }
    ++losses[static_cast<size_t>(one.loser)];
    said.emplace_back(one.winner, one.loser);
  }
  std::sort(said.begin(), said.end());
  const bool once = std::adjacent_find(said.begin(), said.end()) == said.end();
  const bool upwards = std::all_of(said.begin(), said.end(), [&](const auto& pair) {
    return losses[static_cast<size_t>(pair.first)] < losses[static_cast<size_t>(pair.second)];
  });
  // Every pair that the order of losses has must have been said; no other was, see above.
  std::vector<int64_t> sorted = losses;
  std::sort(sorted.begin(), sorted.end());
  size_t pairs = 0;
  for (size_t k = 0; k < K; ++k) {
    const auto same = std::lower_bound(sorted.begin(), sorted.end(), sorted[k]);
    pairs += static_cast<size_t>(same - sorted.begin());
  }
  if (said.empty() || !once || !upwards || said.size() != pairs) {
    return std::nullopt;
  }
  return losses;
}

GroupItems items_of(const EncodedGroup& group) {
  const size_t K = group.completions.size();
  GroupItems items;
  std::vector<double> won(K, 0);
  std::vector<double> lost(K, 0);
  double weight = 0;
  for (const EncodedComparison& one : group.comparisons) {
    const bool as_said = one.probability > 0.5F;
    const double says = static_cast<double>(one.weight) * certainty(one.probability);
    won[static_cast<size_t>(as_said ? one.winner : one.loser)] += says;
    lost[static_cast<size_t>(as_said ? one.loser : one.winner)] += says;
    weight += static_cast<double>(one.weight);
  }
  items.compared = weight > 0;
  for (size_t k = 0; k < K; ++k) {
    const int own = k < group.labels.size() ? group.labels[k] : 0;
    const bool counts = k >= group.label_weights.size() || group.label_weights[k] > 0;
    const bool wins = own == 0 ? won[k] > 0 && lost[k] == 0 : own > 0 && counts;
    const bool loses = own == 0 ? lost[k] > 0 && won[k] == 0 : own < 0 && counts;
    items.desirable = items.desirable || wins;
    items.undesirable = items.undesirable || loses;
  }
  items.ranked = weight > 0 && ranks_of(group.comparisons, K).has_value();
  items.scored =
      group.scores.size() == K &&
      std::none_of(group.scores.begin(), group.scores.end(), [](float x) { return std::isnan(x); });
  return items;
}

uint64_t content_key(const EncodedGroup& group) {
  Hasher hasher;
  hasher.add(std::as_bytes(std::span(group.prompt)));
  for (const std::vector<int32_t>& completion : group.completions) {
    hasher.add(std::as_bytes(std::span(completion)));
  }
  return hasher.word();
}

}  // namespace attune::data
