#include "attune/io/dtype.h"

#include <limits>
#include <set>

#include <gtest/gtest.h>

namespace attune::io {
namespace {

TEST(DType, EachHasItsOwnName) {
  std::set<std::string_view> names;
  for (int i = 0; i < kDTypeCount; ++i) {
    names.insert(name(static_cast<DType>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kDTypeCount));
}

TEST(DType, PlainNamesAreReadBackAndBlockNamesAreNot) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    const auto read = from_safetensors(name(dtype));
    EXPECT_EQ(read.has_value(), !is_quantised(dtype)) << name(dtype);
    EXPECT_TRUE(!read || *read == dtype);
  }
  EXPECT_FALSE(from_safetensors("f32").has_value());
}

TEST(DType, SizesCountWholeBlocks) {
  EXPECT_EQ(size_bytes(DType::kF32, 7), 28);
  EXPECT_EQ(size_bytes(DType::kBool, 13), 13);
  EXPECT_EQ(size_bytes(DType::kQ4_1, 96), 3 * 20);
  EXPECT_EQ(size_bytes(DType::kQ6_K, 512), 2 * 210);
  EXPECT_EQ(size_bytes(DType::kQ4_K, 0), 0);
  EXPECT_EQ(size_bytes(DType::kQ4_1, 33), std::nullopt);
  EXPECT_EQ(size_bytes(DType::kF32, -1), std::nullopt);
}

TEST(DType, ASizeThatOverflowsIsNoSize) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(size_bytes(DType::kI8, kMost), kMost);
  EXPECT_EQ(size_bytes(DType::kI16, kMost), std::nullopt);
  // (2^63 - 256) / 32 * 34 is beyond 2^63.
  EXPECT_EQ(size_bytes(DType::kQ8_0, kMost - 255), std::nullopt);
  EXPECT_EQ(size_bytes(DType::kQ4_0, kMost - 31), (kMost - 31) / 32 * 18);
}

}  // namespace
}  // namespace attune::io
