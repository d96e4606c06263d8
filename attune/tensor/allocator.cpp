#include "attune/tensor/allocator.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <unordered_map>
#include <utility>

#include <malloc.h>
#include <sys/mman.h>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

namespace attune::tensor {
namespace {

constexpr size_t kSmallest = size_t{256} << 10;
constexpr size_t kGrain = size_t{64} << 10;
constexpr size_t kRange = size_t{1} << 30;

size_t round_up(size_t bytes, size_t grain) {
  return (bytes + grain - 1) / grain * grain;
}

// A stretch of addresses that no tensor has.
struct Span {
  size_t size = 0;
  bool warm = false;  // its pages were written once and are still the process's
};

class BlockCache final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < kSmallest) {
      return small_.allocate(bytes);
    }
    void* data = take(round_up(bytes, kGrain));
    return {data, data, &free_any, c10::Device(c10::kCPU)};
  }

  // Some kernels ask for plain pointers.
  c10::DeleterFnPtr raw_deleter() const override {
    return &free_any;
  }

  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

  BlockCacheState state() {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  using Spans = std::map<std::byte*, Span>;

  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    auto at = smallest_warm(size);
    const bool fresh = at == spans_.end();
    if (fresh) {
      at = with_fresh_pages(size);
    }
    ++(fresh ? state_.fresh : state_.reused);
    std::byte* const data = at->first;
    Span rest = at->second;
    erase(at);
    rest.size -= size;
    if (rest.size > 0) {
      insert(data + size, rest);
    }
    live_[data] = size;
    state_.live += static_cast<int64_t>(size);
    const bool higher = state_.live > state_.peak;
    state_.peak = std::max(state_.peak, state_.live);
    if (fresh) {
      drop_kept(higher ? 0 : state_.peak + state_.peak / 4 - state_.live);
    }
    return data;
  }

  // Of the smallest ones that are large enough, that of the lowest address.
  Spans::iterator smallest_warm(size_t size) {
    const auto fit = by_size_.lower_bound({size, nullptr});
    return fit == by_size_.end() ? spans_.end() : spans_.find(fit->second);
  }

  // A span of at least the size that begins with as many warm pages as can be had; behind the size
  // it has none.
  Spans::iterator with_fresh_pages(size_t size) {
    auto best = spans_.end();
    size_t best_warm = 0;
    for (auto at = spans_.begin(); at != spans_.end(); ++at) {
      const auto next = std::next(at);
      const bool grows = at->second.warm && next != spans_.end() && !next->second.warm &&
                         next->first == at->first + at->second.size;
      const size_t warm = grows ? at->second.size : 0;
      const size_t room =
          at->second.warm ? (grows ? warm + next->second.size : 0) : at->second.size;
      if (room >= size && (best == spans_.end() || warm > best_warm)) {
        best = at;
        best_warm = warm;
      }
    }
    if (best == spans_.end()) {
      return map(size);
    }
    if (best_warm > 0) {
      const auto next = std::next(best);
      std::byte* const data = best->first;
      const Span both{.size = best_warm + next->second.size, .warm = false};
      erase(next);
      erase(best);
      best = spans_.emplace(data, both).first;
    }
    return best;
  }

  // Addresses for a gigabyte or the block; pages come when they are written.
  Spans::iterator map(size_t size) {
    const size_t range = round_up(size, kRange);
    for (const size_t room : {range, size}) {
      void* const data = ::mmap(nullptr,
                                room,
                                PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                -1,
                                0);
      if (data != MAP_FAILED) {
        return spans_.emplace(static_cast<std::byte*>(data), Span{.size = room, .warm = false})
            .first;
      }
    }
    throw std::bad_alloc();
  }

  // Gives pages of freed blocks back until at most `allowed` bytes of them are left: all where
  // tensors alive become more than they ever were, else what passes a quarter more than that. Who
  // gives back what the next step asks for again would pay for it in every step.
  void drop_kept(int64_t allowed) {
    while (!by_size_.empty() && state_.kept > allowed) {
      const auto largest = spans_.find(by_size_.rbegin()->second);
      std::byte* const data = largest->first;
      const Span cold{.size = largest->second.size, .warm = false};
      ::madvise(data, cold.size, MADV_DONTNEED);
      erase(largest);
      insert(data, cold);
    }
  }

  // Adds a span, joined with its neighbours of the same warmth.
  void insert(std::byte* data, Span span) {
    auto next = spans_.lower_bound(data);
    if (next != spans_.end() && next->second.warm == span.warm && next->first == data + span.size) {
      span.size += next->second.size;
      next = erase(next);
    }
    if (next != spans_.begin()) {
      const auto last = std::prev(next);
      if (last->second.warm == span.warm && last->first + last->second.size == data) {
        data = last->first;
        span.size += last->second.size;
        erase(last);
      }
    }
    spans_.emplace(data, span);
    if (span.warm) {
      by_size_.emplace(span.size, data);
      state_.kept += static_cast<int64_t>(span.size);
    }
  }

  Spans::iterator erase(Spans::iterator at) {
    if (at->second.warm) {
      by_size_.erase({at->second.size, at->first});
      state_.kept -= static_cast<int64_t>(at->second.size);
    }
    return spans_.erase(at);
  }

  // Whether the pointer was one of a block.
  bool give_back(void* data) {
    const std::lock_guard lock(mutex_);
    const auto at = live_.find(data);
    if (at == live_.end()) {
      return false;
    }
    const size_t size = at->second;
    live_.erase(at);
    state_.live -= static_cast<int64_t>(size);
    insert(static_cast<std::byte*>(data), {.size = size, .warm = true});
    return true;
  }

  static void free_any(void* data);

  c10::Allocator& small_ = *c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::unordered_map<void*, size_t> live_;
  Spans spans_;
  std::set<std::pair<size_t, std::byte*>> by_size_;  // the warm ones
  BlockCacheState state_;
};

// Never destroyed: tensors of other static objects may be freed after it.
BlockCache& block_cache() {
  static auto* const cache = new BlockCache;
  return *cache;
}

void BlockCache::free_any(void* data) {
  if (!block_cache().give_back(data)) {
    block_cache().small_.raw_deallocate(data);
  }
}

}  // namespace

void use_block_cache() {
  c10::SetAllocator(c10::DeviceType::CPU, &block_cache(), /*priority=*/1);
#ifdef __GLIBC__
  // The heap otherwise gives its end back after each step, and asks for it again in the next.
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 32 << 20);
#endif
}

BlockCacheState block_cache_state() {
  return block_cache().state();
}

}  // namespace attune::tensor
