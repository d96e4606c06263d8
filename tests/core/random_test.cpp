#include "attune/core/random.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace attune {
namespace {

TEST(Random, OneKeyGivesOneOrder) {
  EXPECT_EQ(shuffled(97, 5), shuffled(97, 5));
  EXPECT_NE(shuffled(97, 5), shuffled(97, 6));
}

TEST(Random, AShuffleHoldsEveryIndexOnce) {
  std::vector<int64_t> order = shuffled(101, 3);
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 101; ++i) {
    ASSERT_EQ(order[static_cast<size_t>(i)], i);
  }
}

TEST(Random, StreamsOfOneSeedDiffer) {
  EXPECT_NE(stream_key(7, "shuffle"), stream_key(7, "dropout"));
  EXPECT_NE(stream_key(7, "shuffle"), stream_key(8, "shuffle"));
}

TEST(Random, NormalNumbersHaveMeanZeroAndVarianceOne) {
  RandomStream random(11);
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100'000;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.015);
  EXPECT_NEAR(squares / kCount, 1.0, 0.02);
}

TEST(Random, BelowReachesEveryValueAndNoOther) {
  RandomStream random(13);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t x = random.below(7);
    ASSERT_LT(x, 7);
    seen.insert(x);
  }
  EXPECT_EQ(seen.size(), 7);
}

}  // namespace
}  // namespace attune
