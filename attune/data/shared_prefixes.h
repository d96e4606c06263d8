// What prompts of one batch begin with together: a system line, a document, the whole prompt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace attune::data {

/// Tokens at positions [begin, end) of several prompts that are the same up to there.
struct SharedRun {
  int32_t parent = -1;  ///< The run that this one continues, before it in the list; -1: a start.
  size_t prompt = 0;    ///< One that holds it.
  int32_t begin = 0;
  int32_t end = 0;

  bool operator==(const SharedRun&) const = default;
};

/// The runs, and for each prompt the last run that it goes through; -1: none.
struct SharedPrefixes {
  std::vector<SharedRun> runs;
  std::vector<int32_t> run_of;
};

/// The radix tree of the prompts, without runs shorter than four tokens: those save less than
/// a segment of their own costs in attention.
SharedPrefixes share_prefixes(std::span<const std::span<const int32_t>> prompts);

}  // namespace attune::data
