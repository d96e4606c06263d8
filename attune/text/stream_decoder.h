// Text out of ids that come one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attune/text/tokenizer.h"

namespace attune::text {

/// Decodes a reply while it is generated: gives out text as soon as it is certain, and holds back
/// the bytes of a character that is not whole yet. All pieces together are what `decode` gives for
/// all ids. The tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false);

  /// The text that `id` makes certain; may be empty. @throws Error for an unknown id.
  std::string push(int32_t id);

  /// What is left, with U+FFFD for bytes that never became a character; ready for a new text.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string held_;
  int64_t num_tokens_ = 0;
};

}  // namespace attune::text
