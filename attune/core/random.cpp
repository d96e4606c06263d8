#include "attune/core/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "attune/core/hash.h"

namespace attune {

uint64_t stream_key(uint64_t seed, std::string_view purpose) {
  return Hasher().add(static_cast<int64_t>(seed)).add(purpose).word();
}

uint64_t RandomStream::below(uint64_t bound) {
  // Words above the largest multiple of `bound` would favour small results: draw again.
  const uint64_t limit = bound * (UINT64_MAX / bound);
  uint64_t word = next();
  while (word >= limit) {
    word = next();
  }
  return word % bound;
}

double RandomStream::normal() {
  const double u = 1.0 - uniform();
  const double v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

std::vector<int64_t> shuffled(int64_t count, uint64_t key) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  RandomStream random(key);
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[random.below(static_cast<uint64_t>(i) + 1)]);
  }
  return order;
}

}  // namespace attune
