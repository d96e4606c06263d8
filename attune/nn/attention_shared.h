// Slopes of keys and values that several tasks of an attention plan see.
#pragma once

#include <cstdint>
#include <vector>

#include "attune/nn/attention_kernel.h"

namespace attune::nn {

/// What each family adds to the slopes of keys and values that it shares: [G, tokens, E] of keys,
/// then the same of values. Families write while they run, each to its own place, and are summed
/// after all, one after the other, so that no order of threads shows.
class SharedSlopes {
 public:
  SharedSlopes(const AttentionInput<float>& in, const AttentionPlan& plan);

  [[nodiscard]] float* keys(size_t family, int64_t kv_head) const;
  [[nodiscard]] float* values(size_t family, int64_t kv_head) const {
    return keys(family, in_.G + kv_head);
  }
  /// Adds all to `slopes`, on all threads.
  void add_to(const AttentionSlopes<float>& slopes) const;

 private:
  void add_family(size_t f, int64_t g, const AttentionSlopes<float>& slopes) const;

  const AttentionInput<float>& in_;
  const AttentionPlan& plan_;
  std::vector<float>& slopes_;   // the thread's, used again
  std::vector<int64_t> places_;  // of each family
};

}  // namespace attune::nn
