#include "attune/tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

#include <sys/mman.h>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

namespace attune::tensor {
namespace {

constexpr size_t kSmallest = size_t{256} << 10;

// Eight sizes from one power of two to the next, so that a batch that is a little longer finds the
// blocks of the last one. The end of a block that nobody touches takes no memory.
size_t block_size(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

class BlockCache final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < kSmallest) {
      return small_.allocate(bytes);
    }
    void* data = take(block_size(bytes));
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
  struct Kept {
    void* data;
    int64_t freed_at;  // counts up
  };

  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    // A kept block of the size, or at most a quarter larger.
    const auto at = kept_.lower_bound(size);
    void* data = nullptr;
    if (at != kept_.end() && at->first <= size + size / 4) {
      size = at->first;
      data = at->second.back().data;  // freed last: its pages are the warmest
      at->second.pop_back();
      if (at->second.empty()) {
        kept_.erase(at);
      }
      state_.kept -= static_cast<int64_t>(size);
      ++state_.reused;
    } else {
      data = map(size);
    }
    live_[data] = size;
    state_.live += static_cast<int64_t>(size);
    state_.peak = std::max(state_.peak, state_.live);
    return data;
  }

  void* map(size_t size) {
    const int64_t live = state_.live + static_cast<int64_t>(size);
    while (state_.kept > 0 && live + state_.kept > std::max(state_.peak, live)) {
      unmap_oldest();
    }
    void* data = map_pages(size);
    while (data == MAP_FAILED && state_.kept > 0) {
      unmap_oldest();
      data = map_pages(size);
    }
    if (data == MAP_FAILED) {
      throw std::bad_alloc();
    }
    ++state_.mapped;
    return data;
  }

  static void* map_pages(size_t size) {
    return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }

  void unmap_oldest() {
    auto oldest = kept_.begin();
    for (auto at = kept_.begin(); at != kept_.end(); ++at) {
      if (at->second.front().freed_at < oldest->second.front().freed_at) {
        oldest = at;
      }
    }
    state_.kept -= static_cast<int64_t>(oldest->first);
    ::munmap(oldest->second.front().data, oldest->first);
    oldest->second.pop_front();
    if (oldest->second.empty()) {
      kept_.erase(oldest);
    }
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
    kept_[size].push_back({data, ++frees_});
    state_.live -= static_cast<int64_t>(size);
    state_.kept += static_cast<int64_t>(size);
    return true;
  }

  static void free_any(void* data);

  c10::Allocator& small_ = *c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::unordered_map<void*, size_t> live_;
  std::map<size_t, std::deque<Kept>> kept_;  // by size; the one freed first in front
  int64_t frees_ = 0;
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
}

BlockCacheState block_cache_state() {
  return block_cache().state();
}

}  // namespace attune::tensor
