#include "attune/text/vocabulary.h"

#include <algorithm>

#include "attune/core/error.h"

namespace attune::text {

Vocabulary::Vocabulary(size_t num_expected) {
  // Gaps are normal (reserved rows); a lying id must not cost gigabytes.
  check(num_expected <= (size_t{1} << 26), "vocabulary: {} tokens are too many.", num_expected);
  limit_ = static_cast<int64_t>(num_expected * 2 + 65536);
  ids_.reserve(num_expected);
}

void Vocabulary::add(std::string_view token, int64_t id) {
  check(id >= 0 && id < limit_,
        "vocabulary: token \"{}\" has id {}, expected 0 to {}.",
        token,
        id,
        limit_ - 1);
  const auto [at, is_new] = ids_.try_emplace(std::string(token), static_cast<int32_t>(id));
  check(is_new || at->second == id,
        "vocabulary: token \"{}\" has two ids, {} and {}.",
        token,
        at->second,
        id);
  if (!is_new) {
    return;
  }
  const auto index = static_cast<size_t>(id);
  if (index >= texts_.size()) {
    texts_.resize(index + 1, nullptr);
  }
  check(texts_[index] == nullptr,
        "vocabulary: id {} belongs to two tokens, \"{}\" and \"{}\".",
        id,
        texts_[index] == nullptr ? "" : *texts_[index],
        token);
  texts_[index] = &at->first;
  longest_ = std::max(longest_, token.size());
}

const std::string& Vocabulary::text(int64_t id) const {
  check(has(id), "token id {} is not in the vocabulary, expected 0 to {}.", id, size() - 1);
  return *texts_[static_cast<size_t>(id)];
}

}  // namespace attune::text
