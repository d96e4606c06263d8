// tokenizer.json's "post_processor": what goes around a text's ids.
#pragma once

#include <cstdint>
#include <vector>

#include "attune/text/json_reader.h"

namespace attune::text {

/// The ids before and behind a single text.
struct PostProcessor {
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;

  /// @throws Error naming a component that attune does not have.
  static PostProcessor parse(const Json& component);
};

}  // namespace attune::text
