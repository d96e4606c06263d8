// Tokens that are found in a text before anything else happens to it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune::text {

/// An entry of tokenizer.json's "added_tokens".
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;      ///< stands for itself, not for words; decode may skip it
  bool normalized = false;   ///< is looked for in the normalised text, normalised itself
  bool single_word = false;  ///< only counts between characters that are not of words
  bool lstrip = false;       ///< takes the white space before it in
  bool rstrip = false;       ///< takes the white space behind it in
};

/// A set of tokens to look for, leftmost and longest first.
class TokenFinder {
 public:
  /// A stretch of a text: a token, or what is between tokens.
  struct Stretch {
    size_t begin;
    size_t end;
    std::optional<int32_t> id;
  };

  /// `content` is what to look for; it may differ from the token's (normalised).
  void add(std::string_view content, const AddedToken& token);

  /// Cuts `text` into stretches, none empty. `skip_special` leaves special tokens plain text.
  std::vector<Stretch> cut(std::string_view text, bool skip_special) const;

  bool empty() const {
    return nodes_.size() <= 1;
  }

 private:
  struct Node {
    std::map<unsigned char, int32_t> next;
    int32_t token = -1;
  };

  int32_t longest_match(std::string_view text, size_t begin, size_t& end) const;

  std::array<bool, 256> starts_{};
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<AddedToken> tokens_;
};

}  // namespace attune::text
