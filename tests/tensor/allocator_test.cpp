#include "attune/tensor/allocator.h"

#include <thread>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <c10/core/CPUAllocator.h>

#include "tests/tensor/golden.h"

namespace attune::tests {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

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
  EXPECT_EQ(after.reused - before.reused, 1);
  EXPECT_EQ(after.mapped - before.mapped, 1);
  EXPECT_EQ(after.live - before.live, 14 * kMiB);
}

// A batch a little shorter than the last one finds its blocks; one of half the length does not.
TEST(BlockCache, ABlockServesWhatIsUpToAFifthSmaller) {
  tensor::use_block_cache();
  { const at::Tensor a = megabytes(100); }
  const auto before = tensor::block_cache_state();
  { const at::Tensor a = megabytes(85); }
  EXPECT_EQ(tensor::block_cache_state().mapped, before.mapped);
  { const at::Tensor a = megabytes(50); }
  EXPECT_EQ(tensor::block_cache_state().mapped, before.mapped + 1);
}

// Tensors of ever new sizes: what is kept goes back to the system rather than beyond the peak.
TEST(BlockCache, MemoryStaysWhatTensorsOnceNeeded) {
  tensor::use_block_cache();
  for (int64_t size = 200; size > 2; size = size * 2 / 3) {
    const at::Tensor a = megabytes(size);
    const at::Tensor b = megabytes(size);
    const auto state = tensor::block_cache_state();
    EXPECT_LE(state.live + state.kept, state.peak);
    EXPECT_GE(state.live, 2 * size * kMiB);
    EXPECT_LE(state.live, 2 * size * kMiB * 5 / 4);
  }
  const auto state = tensor::block_cache_state();
  EXPECT_LE(state.peak, 2 * 200 * kMiB * 9 / 8);
  EXPECT_LE(state.kept, state.peak);
  EXPECT_EQ(state.live, 0);
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
