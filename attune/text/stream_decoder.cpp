#include "attune/text/stream_decoder.h"

#include <utility>

#include "attune/text/unicode.h"

namespace attune::text {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) {
    return {};
  }
  held_ += tokenizer_.token_bytes(id, num_tokens_++);
  const size_t settled = settled_prefix(held_);
  std::string result = repaired_utf8(std::string_view(held_).substr(0, settled));
  held_.erase(0, settled);
  return result;
}

std::string StreamDecoder::finish() {
  num_tokens_ = 0;
  return repaired_utf8(std::exchange(held_, {}));
}

}  // namespace attune::text
