// tokenizer.json's "decoder": from tokens back to bytes, one token at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/text/json_reader.h"

namespace attune::text {

/// Every token's bytes depend on the token and on whether it is the first: that is what lets a
/// reply be decoded while it is generated. Components that look further are refused.
class Decoder {
 public:
  /// Rewrites one token's text.
  using Step = std::function<std::string(std::string_view token, bool is_first)>;

  Decoder() = default;
  explicit Decoder(std::vector<Step> steps) : steps_(std::move(steps)) {}

  /// @throws Error naming a component that attune does not have.
  static Decoder parse(const Json& component);

  /// GPT-2's byte alphabet.
  static Decoder byte_level();
  /// "▁" is a space, <0x..> a byte; `strip` takes one space off the beginning.
  static Decoder sentencepiece(bool strip);

  std::string operator()(std::string_view token, bool is_first) const;

 private:
  std::vector<Step> steps_;
};

/// The byte that a token <0x..> stands for, or -1.
int byte_of_token(std::string_view token);

}  // namespace attune::text
