#include "attune/tensor/allocator.h"

#include <fstream>
#include <thread>

#include <unistd.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <c10/core/CPUAllocator.h>

#include "tests/tensor/golden.h"

namespace attune::tests {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

// f32 numbers that fill so many MiB.
at::Tensor megabytes(int64_t count) {
  return at::empty({count * kMiB / 4}, at::kFloat);
}

TEST(BlockCache, AFreedBlockIsUsedAgain) {
  tensor::use_block_cache();
  const void* first = nullptr;
  {
    const at::Tensor a = megabytes(7);
    first = a.const_data_ptr();
  }
  const auto before = tensor::block_cache_state();
  const at::Tensor b = megabytes(7);
  const at::Tensor c = megabytes(7);
  const auto after = tensor::block_cache_state();
  EXPECT_EQ(b.const_data_ptr(), first);
  EXPECT_NE(c.const_data_ptr(), first);
  EXPECT_GE(after.reused - before.reused, 1);
  EXPECT_EQ(after.reused + after.fresh, before.reused + before.fresh + 2);
  EXPECT_EQ(after.live - before.live, 14 * kMiB);
}

// Shorter batches than the last one, whose tensors are cut of its blocks.
TEST(BlockCache, ABlockServesWhateverIsSmaller) {
  tensor::use_block_cache();
  { const at::Tensor a = megabytes(100); }
  const auto before = tensor::block_cache_state();
  {
    const at::Tensor a = megabytes(50);
    const at::Tensor b = megabytes(37);
    const at::Tensor c = megabytes(13);
  }
  { const at::Tensor a = megabytes(85); }
  const auto after = tensor::block_cache_state();
  EXPECT_EQ(after.fresh, before.fresh);
  EXPECT_EQ(after.reused, before.reused + 4);
  EXPECT_EQ(after.kept, before.kept);
}

// 17 + 19 MiB in two blocks side by side, whichever is freed first, are one of 36.
TEST(BlockCache, NeighboursBecomeOneBlock) {
  tensor::use_block_cache();
  for (const bool in_order : {true, false}) {
    at::Tensor whole = megabytes(36);
    const void* const place = whole.const_data_ptr();
    whole.reset();
    at::Tensor a = megabytes(17);
    at::Tensor b = megabytes(19);
    (in_order ? a : b).reset();
    (in_order ? b : a).reset();
    const auto before = tensor::block_cache_state();
    whole = megabytes(36);
    EXPECT_EQ(tensor::block_cache_state().fresh, before.fresh);
    EXPECT_EQ(whole.const_data_ptr(), place);
  }
}

// Steps of three lengths, each making its tensors in an order of its own, some of which outlive the
// next ones: after each has been seen once, none takes a page from the system.
TEST(BlockCache, StepsNoLargerThanSeenTakeNoPages) {
  tensor::use_block_cache();
  const auto step = [](int64_t length) {
    std::vector<at::Tensor> alive;
    for (int64_t i = 1; i < 23; ++i) {
      alive.push_back(at::full({length * (i % 7 + 1)}, 1.0));
      const at::Tensor passing = at::full({length * (i % 5 + 2)}, 2.0);
      if (i % 3 == 0) {
        alive.erase(alive.begin() + i % 2);
      }
    }
  };
  const std::vector<int64_t> lengths{150'001, 211'003, 99'991};
  for (const int64_t length : lengths) {
    step(length);
  }
  const auto before = tensor::block_cache_state();
  for (int round = 0; round < 3; ++round) {
    for (const int64_t length : lengths) {
      step(length - 1000 * round);
    }
  }
  const auto after = tensor::block_cache_state();
  EXPECT_EQ(after.fresh, before.fresh);
  EXPECT_GT(after.reused, before.reused + 200);
  EXPECT_EQ(after.kept, before.kept);
}

// Tensors of ever new sizes: what is kept goes back to the system rather than beyond the peak.
TEST(BlockCache, MemoryStaysWhatTensorsOnceNeeded) {
  tensor::use_block_cache();
  for (int64_t size = 2; size < 200; size = size * 3 / 2 + 1) {
    const at::Tensor a = megabytes(size);
    const at::Tensor b = megabytes(size);
    const auto state = tensor::block_cache_state();
    EXPECT_LE(state.live + state.kept, state.peak);
    EXPECT_EQ(state.live, 2 * size * kMiB);
  }
  const auto state = tensor::block_cache_state();
  EXPECT_LE(state.kept, state.peak);
  EXPECT_EQ(state.live, 0);
}

// A new high of live tensors: the pages of a freed one that is no part of it go to the system.
TEST(BlockCache, WhatIsGivenBackIsTheSystemsAgain) {
  tensor::use_block_cache();
  at::Tensor freed = at::full({100 * kMiB / 4}, 1.0);
  const at::Tensor wall = megabytes(3);
  freed.reset();
  const int64_t resident = resident_bytes();
  const int64_t peak = tensor::block_cache_state().peak;
  const at::Tensor larger = megabytes(peak / kMiB + 300);  // nothing is written to it
  EXPECT_EQ(tensor::block_cache_state().kept, 0);
  EXPECT_LT(resident_bytes(), resident - 90 * kMiB);
}

// The same high, but the freed block lies before addresses that nobody has: it becomes the
// beginning of the larger one.
TEST(BlockCache, ABlockGrowsWhereItLies) {
  tensor::use_block_cache();
  at::Tensor last = megabytes(tensor::block_cache_state().peak / kMiB + 7);
  const void* const place = last.const_data_ptr();
  const int64_t size = last.numel();
  last.reset();
  const at::Tensor longer = at::empty({size * 8 / 7}, at::kFloat);
  EXPECT_EQ(longer.const_data_ptr(), place);
}

TEST(BlockCache, NumbersStayWhereTheyAre) {
  tensor::use_block_cache();
  std::vector<at::Tensor> kept;
  for (int round = 0; round < 5; ++round) {
    for (int64_t i = 1; i < 9; ++i) {
      const double value = 10.0 * round + static_cast<double>(i);
      kept.push_back(at::full({i * 70'001}, value));
      const at::Tensor passing = at::full({i * 90'001}, -1.0);
    }
  }
  size_t at = 0;
  for (int round = 0; round < 5; ++round) {
    for (int64_t i = 1; i < 9; ++i) {
      const double value = 10.0 * round + static_cast<double>(i);
      const at::Tensor& numbers = kept[at++];
      EXPECT_EQ(numbers.min().item<double>(), value);
      EXPECT_EQ(numbers.max().item<double>(), value);
    }
  }
}

// Tensors made before the cache came, small ones, and plain pointers are freed by whom they came
// from.
TEST(BlockCache, EveryKindOfMemoryIsFreedByItsOwner) {
  at::Tensor older = megabytes(3);
  tensor::use_block_cache();
  older.reset();
  { const at::Tensor tiny = at::ones({3}); }
  c10::Allocator* allocator = c10::GetCPUAllocator();
  for (const size_t bytes : {size_t{64}, size_t{3} << 20}) {
    void* plain = allocator->raw_allocate(bytes);
    std::memset(plain, 7, bytes);
    allocator->raw_deallocate(plain);
  }
  EXPECT_EQ(tensor::block_cache_state().live, 0);
}

TEST(BlockCache, ThreadsShareIt) {
  tensor::use_block_cache();
  std::vector<std::thread> threads;
  for (int64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([t] {
      for (int round = 0; round < 50; ++round) {
        const at::Tensor a = at::full({t * 100'003}, static_cast<double>(t));
        EXPECT_EQ(a.max().item<double>(), static_cast<double>(t));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(tensor::block_cache_state().live, 0);
}

}  // namespace
}  // namespace attune::tests
