#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <utility>

#include "attune/core/error.h"
#include "attune/data/packed_batch.h"

namespace attune::data {
namespace {

using Batches = std::vector<std::vector<size_t>>;

// Best-fit decreasing: each group goes where it leaves the least room.
Batches fullest(std::span<const int64_t> tokens, std::span<const size_t> by_size, int64_t budget) {
  Batches batches;
  std::multimap<int64_t, size_t> room;  // of each micro-batch, by what is left
  for (const size_t group : by_size) {
    const int64_t need = tokens[group];
    const auto fits = room.lower_bound(need);
    if (fits == room.end()) {
      room.emplace(budget - need, batches.size());  // below 0: full
      batches.push_back({group});
    } else {
      const auto [left, batch] = *fits;
      room.erase(fits);
      room.emplace(left - need, batch);
      batches[batch].push_back(group);
    }
  }
  return batches;
}

// `count` micro-batches of like size: each group goes to the smallest so far. Empty if one outgrew
// the budget.
Batches level(std::span<const int64_t> tokens,
              std::span<const size_t> by_size,
              int64_t budget,
              size_t count) {
  using Load = std::pair<int64_t, size_t>;  // tokens, micro-batch
  std::priority_queue<Load, std::vector<Load>, std::greater<>> smallest;
  for (size_t batch = 0; batch < count; ++batch) {
    smallest.emplace(0, batch);
  }
  Batches batches(count);
  for (const size_t group : by_size) {
    const auto [load, batch] = smallest.top();
    if (load > 0 && load + tokens[group] > budget) {
      return {};
    }
    smallest.pop();
    smallest.emplace(load + tokens[group], batch);
    batches[batch].push_back(group);
  }
  return batches;
}

}  // namespace

Batches split_by_tokens(std::span<const int64_t> tokens_per_group, int64_t max_tokens) {
  ensure(max_tokens > 0, "split_by_tokens: a budget of {} tokens", max_tokens);
  std::vector<size_t> by_size(tokens_per_group.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) {
    return tokens_per_group[a] > tokens_per_group[b];
  });
  Batches batches = fullest(tokens_per_group, by_size, max_tokens);
  // As many, but of like size, take as long and less memory.
  Batches even = level(tokens_per_group, by_size, max_tokens, batches.size());
  if (!even.empty()) {
    batches = std::move(even);
  }
  for (std::vector<size_t>& batch : batches) {
    std::sort(batch.begin(), batch.end());
  }
  std::sort(batches.begin(), batches.end());
  return batches;
}

}  // namespace attune::data
