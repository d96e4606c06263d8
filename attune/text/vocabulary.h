// Tokens and their ids.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace attune::text {

/// Lets maps with std::string keys be asked with a string_view.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// The two-way map of tokens and ids; ids may have small gaps.
class Vocabulary {
 public:
  /// `num_expected` tokens are about to come: ids far beyond it are refused.
  explicit Vocabulary(size_t num_expected);

  /// @throws Error if the id is negative, far too large or taken, or the token has another id.
  void add(std::string_view token, int64_t id);

  std::optional<int32_t> find(std::string_view token) const {
    const auto at = ids_.find(token);
    return at == ids_.end() ? std::nullopt : std::optional<int32_t>(at->second);
  }
  bool has(int64_t id) const {
    return id >= 0 && id < size() && texts_[static_cast<size_t>(id)] != nullptr;
  }
  /// The token's text. @throws Error for an id that is not in the vocabulary.
  const std::string& text(int64_t id) const;

  /// One more than the largest id.
  int64_t size() const {
    return static_cast<int64_t>(texts_.size());
  }
  /// How many tokens there are.
  size_t num_tokens() const {
    return ids_.size();
  }
  /// Bytes of the longest token.
  size_t longest() const {
    return longest_;
  }
  /// Every token and its id, in no order.
  const std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>>& tokens() const {
    return ids_;
  }

 private:
  int64_t limit_;
  size_t longest_ = 0;
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> ids_;
  std::vector<const std::string*> texts_;
};

}  // namespace attune::text
