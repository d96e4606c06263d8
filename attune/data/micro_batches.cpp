#include <algorithm>
#include <numeric>

#include "attune/core/error.h"
#include "attune/data/packed_batch.h"

namespace attune::data {

std::vector<std::vector<size_t>> split_by_tokens(std::span<const int64_t> tokens_per_group,
                                                 int64_t max_tokens) {
  ensure(max_tokens > 0, "split_by_tokens: a budget of {} tokens", max_tokens);
  std::vector<size_t> by_size(tokens_per_group.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) {
    return tokens_per_group[a] > tokens_per_group[b];
  });

  std::vector<std::vector<size_t>> batches;
  std::vector<int64_t> room;  // left in each micro-batch; below 0 for a group that stands alone
  for (const size_t group : by_size) {
    const int64_t need = tokens_per_group[group];
    const auto fits = std::find_if(room.begin(), room.end(), [&](int64_t r) { return r >= need; });
    if (fits == room.end()) {
      room.push_back(max_tokens - need);
      batches.push_back({group});
    } else {
      *fits -= need;
      batches[static_cast<size_t>(fits - room.begin())].push_back(group);
    }
  }
  for (std::vector<size_t>& batch : batches) {
    std::sort(batch.begin(), batch.end());
  }
  std::sort(batches.begin(), batches.end());
  return batches;
}

}  // namespace attune::data
