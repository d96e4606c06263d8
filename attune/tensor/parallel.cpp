#include "attune/tensor/parallel.h"

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>

#include "attune/core/error.h"

namespace attune::tensor {
namespace {

constexpr int64_t kMostPieces = int64_t{1} << 31;

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;

  [[nodiscard]] uint64_t left() const {
    return end - begin;
  }
};

Range range_of(uint64_t bounds) {
  return {bounds >> 32, bounds & 0xffffffffU};
}

uint64_t bounds_of(const Range& range) {
  return range.begin << 32 | range.end;
}

}  // namespace

int64_t Pieces::next() {
  const int64_t piece = take_own();
  return piece >= 0 ? piece : take_from_another();
}

int64_t Pieces::take_own() {
  std::atomic<uint64_t>& own = threads_[own_].bounds;
  uint64_t seen = own.load(std::memory_order_relaxed);
  for (;;) {
    Range range = range_of(seen);
    if (range.left() == 0) {
      return -1;
    }
    const auto piece = static_cast<int64_t>(range.begin++);
    if (own.compare_exchange_weak(seen, bounds_of(range), std::memory_order_relaxed)) {
      return piece;
    }
  }
}

// No range comes back after a change, since whoever changes it takes a piece of it for good: its
// first, or its middle one. So the exchange takes what was seen or nothing.
int64_t Pieces::take_from_another() {
  for (;;) {
    Waiting* most = nullptr;
    uint64_t seen = 0;
    for (Waiting& other : threads_) {
      const uint64_t bounds = other.bounds.load(std::memory_order_relaxed);
      if (range_of(bounds).left() > range_of(seen).left()) {
        most = &other;
        seen = bounds;
      }
    }
    if (most == nullptr) {
      return -1;
    }
    const Range range = range_of(seen);
    const uint64_t middle = range.begin + range.left() / 2;
    if (most->bounds.compare_exchange_weak(
            seen, bounds_of({range.begin, middle}), std::memory_order_relaxed)) {
      threads_[own_].bounds.store(bounds_of({middle + 1, range.end}), std::memory_order_relaxed);
      return static_cast<int64_t>(middle);
    }
  }
}

void share_out(int64_t count, const std::function<void(Pieces&)>& body) {
  ensure(count < kMostPieces, "share_out: {} pieces", count);
  if (count <= 0) {
    return;
  }
  const int64_t team = at::in_parallel_region() ? 1 : at::get_num_threads();
  const auto threads = static_cast<size_t>(std::min<int64_t>(count, team));
  std::vector<Pieces::Waiting> waiting(threads);
  for (size_t t = 0; t < threads; ++t) {
    const auto pieces = static_cast<uint64_t>(count);
    waiting[t].bounds = bounds_of({pieces * t / threads, pieces * (t + 1) / threads});
  }
  at::parallel_for(0, static_cast<int64_t>(threads), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      Pieces pieces(waiting, static_cast<size_t>(t));
      body(pieces);
    }
  });
}

void share_out(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= grain) {
    if (count > 0) {
      body(0, count);
    }
    return;
  }
  share_out((count + grain - 1) / grain, [&](Pieces& pieces) {
    for (int64_t piece = pieces.next(); piece >= 0; piece = pieces.next()) {
      body(piece * grain, std::min(count, (piece + 1) * grain));
    }
  });
}

}  // namespace attune::tensor
