// How one piece of text becomes ids.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace attune::text {

/// The step between the pre-tokenizer's pieces and ids. Immutable.
class Model {
 public:
  virtual ~Model() = default;

  /// Appends the ids of `piece`, which is well-formed UTF-8 and not empty. O(n log n).
  virtual void encode(std::string_view piece, std::vector<int32_t>& ids) const = 0;

  /// True if a text may be cut before each "▁" that follows another character, and its parts
  /// encoded alone: no token reaches across such a place.
  virtual bool cuts_at_marks() const = 0;
};

}  // namespace attune::text
