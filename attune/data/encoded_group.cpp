#include "attune/data/encoded_group.h"

#include <span>

#include "attune/core/hash.h"

namespace attune::data {

int64_t EncodedGroup::num_tokens() const {
  auto total = static_cast<int64_t>(prompt.size());
  for (const std::vector<int32_t>& completion : completions) {
    total += static_cast<int64_t>(completion.size());
  }
  return total;
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
