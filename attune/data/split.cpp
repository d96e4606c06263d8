#include <algorithm>

#include "attune/core/random.h"
#include "attune/data/token_cache.h"

namespace attune::data {
namespace {

/// A prompt's own number in [0, 2^64): below the fraction it is held out.
uint64_t lot(uint64_t key, uint64_t prompt_hash) {
  return random_word(key, prompt_hash);
}

}  // namespace

Split split_by_prompt(const TokenCache& cache, double held_out_fraction, uint64_t seed) {
  Split split;
  const uint64_t key = stream_key(seed, "held-out prompts");
  // The least and the greatest lot; a side that would be empty gets one of them.
  uint64_t least = ~uint64_t{0};
  uint64_t greatest = 0;
  for (int64_t i = 0; i < cache.size(); ++i) {
    const uint64_t drawn = lot(key, cache.prompt_hash(i));
    least = std::min(least, drawn);
    greatest = std::max(greatest, drawn);
  }
  const bool divides = held_out_fraction > 0 && least < greatest;
  for (int64_t i = 0; i < cache.size(); ++i) {
    const uint64_t drawn = lot(key, cache.prompt_hash(i));
    const double uniform = static_cast<double>(drawn >> 11) * 0x1.0p-53;
    const bool held_out =
        divides && drawn != greatest && (uniform < held_out_fraction || drawn == least);
    (held_out ? split.held_out : split.train).push_back(i);
  }
  return split;
}

}  // namespace attune::data
