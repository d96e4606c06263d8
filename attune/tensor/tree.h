// The token tree of a packed batch: who may see whom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attune::tensor {

/// Tokens [begin, end) of a packed batch that follow each other in one text.
struct Segment {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t parent = -1;  ///< The segment that this one continues; -1: it starts a text.
};

/// A token attends to itself, its segment before it, and all its ancestors. A parent stands before
/// its children in the list, and segments do not overlap.
struct Tree {
  std::vector<Segment> segments;

  /// The segments that `segment` continues, first to last, itself not among them.
  [[nodiscard]] std::vector<int64_t> ancestors(int64_t segment) const {
    std::vector<int64_t> chain;
    for (int64_t s = segments[static_cast<size_t>(segment)].parent; s >= 0;
         s = segments[static_cast<size_t>(s)].parent) {
      chain.insert(chain.begin(), s);
    }
    return chain;
  }
};

}  // namespace attune::tensor
