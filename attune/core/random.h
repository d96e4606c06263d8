// Random numbers as a pure function of (seed, counter): nothing to save, nothing to restore.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace attune {

/// SplitMix64's finaliser: a bijection on 64 bits with full avalanche.
constexpr uint64_t mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// A 64-bit random word for the pair (key, counter).
constexpr uint64_t random_word(uint64_t key, uint64_t counter) {
  return mix64(key + 0x9e3779b97f4a7c15ULL * (counter + 1));
}

/// A stream of its own for each purpose of one seed: stream_key(7, "shuffle").
uint64_t stream_key(uint64_t seed, std::string_view purpose);

/// A stream of random numbers with explicit state, the same on every machine.
class RandomStream {
 public:
  explicit RandomStream(uint64_t key) : key_(key) {}
  uint64_t next() {
    return random_word(key_, counter_++);
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() {
    return static_cast<double>(next() >> 11) * 0x1.0p-53;
  }
  /// Uniform in [0, bound), without bias. `bound` > 0.
  uint64_t below(uint64_t bound);
  /// Standard normal (Box-Muller).
  double normal();

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

/// 0 .. count-1 in the order that `key` gives (Fisher-Yates).
std::vector<int64_t> shuffled(int64_t count, uint64_t key);

}  // namespace attune
