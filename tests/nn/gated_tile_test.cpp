#include "attune/nn/gated_tile.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "attune/nn/kernels.h"
#include "attune/tensor/narrow.h"

namespace attune::nn {
namespace {

constexpr int64_t kRows = 5;
constexpr int64_t kColumns = 64;  // the most that a tile has
constexpr int64_t kStride = 67;
constexpr int64_t kWidth = 101;
constexpr int64_t kSlopeStride = 211;

template <class T>
std::vector<T> numbers(size_t count, T seed, T scale = 3) {
  std::vector<T> x(count);
  for (size_t i = 0; i < count; ++i) {
    x[i] = scale * std::sin(seed + static_cast<T>(i) * T(1.7));
  }
  return x;
}

double silu(double x) {
  return x / (1 + std::exp(-x));
}

template <class T, class K>
double difference(K kept, T wanted) {
  if constexpr (std::is_same_v<T, K>) {
    return std::abs(kept - wanted);
  } else {
    return kept == tensor::to_bf16(wanted) ? 0 : 1;
  }
}

template <class T, class K>
struct Types {
  using Number = T;
  using Kept = K;
};

template <class P>
class GatedTiles : public testing::Test {};

using All = testing::Types<Types<float, float>, Types<float, uint16_t>, Types<double, double>>;
TYPED_TEST_SUITE(GatedTiles, All);

TYPED_TEST(GatedTiles, AreGatedAndKept) {
  using T = typename TypeParam::Number;
  using K = typename TypeParam::Kept;
  const std::vector<T> gate = numbers<T>(kRows * kStride, T(0.3));
  const std::vector<T> up = numbers<T>(kRows * kStride, T(0.9));
  const T untouched = 77;
  std::vector<T> y(kRows * kWidth, untouched);
  std::vector<K> kept_gate(kRows * kWidth, K(7));
  std::vector<K> kept_up(kRows * kWidth, K(7));
  GatedTile<T, K> tile{.rows = kRows,
                       .columns = kColumns,
                       .stride = kStride,
                       .gate = gate.data(),
                       .up = up.data(),
                       .width = kWidth,
                       .y = y.data()};
  gate_tile(tile);
  EXPECT_EQ(kept_gate[0], K(7));
  tile.kept_gate = kept_gate.data();
  tile.kept_up = kept_up.data();
  gate_tile(tile);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < kWidth; ++c) {
      const auto at = static_cast<size_t>(r * kWidth + c);
      const auto from = static_cast<size_t>(r * kStride + c);
      if (c >= kColumns) {
        EXPECT_EQ(y[at], untouched);
        EXPECT_EQ(kept_up[at], K(7));
        continue;
      }
      const double exact = silu(static_cast<double>(gate[from])) * static_cast<double>(up[from]);
      EXPECT_NEAR(static_cast<double>(y[at]), exact, 32 * std::numeric_limits<T>::epsilon());
      EXPECT_EQ(difference(kept_gate[at], gate[from]), 0);
      EXPECT_EQ(difference(kept_up[at], up[from]), 0);
    }
  }
}

TYPED_TEST(GatedTiles, SlopesAreThoseOfLongRowsAndOfDifferences) {
  using T = typename TypeParam::Number;
  using K = typename TypeParam::Kept;
  const std::vector<T> g = numbers<T>(kRows * kStride, T(0.2));
  std::vector<T> gate = numbers<T>(kRows * kWidth, T(0.4), T(2));
  std::vector<T> up = numbers<T>(kRows * kWidth, T(0.8), T(2));
  std::vector<K> kept_gate(gate.size());
  std::vector<K> kept_up(up.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    if constexpr (std::is_same_v<T, K>) {
      kept_gate[i] = gate[i];
      kept_up[i] = up[i];
    } else {
      kept_gate[i] = tensor::to_bf16(gate[i]);
      kept_up[i] = tensor::to_bf16(up[i]);
      gate[i] = tensor::from_bf16(kept_gate[i]);
      up[i] = tensor::from_bf16(kept_up[i]);
    }
  }
  std::vector<T> slopes(kRows * kSlopeStride, T(77));
  std::vector<uint16_t> narrow_slopes(kRows * kSlopeStride, 7);
  constexpr int64_t kUp = 103;  // the slopes of up follow those of gate
  const GatedTileSlopes<T, K> tile{.rows = kRows,
                                   .columns = kColumns,
                                   .stride = kStride,
                                   .g = g.data(),
                                   .width = kWidth,
                                   .gate = kept_gate.data(),
                                   .up = kept_up.data(),
                                   .slope_stride = kSlopeStride,
                                   .dgate = slopes.data(),
                                   .dup = slopes.data() + kUp,
                                   .narrow_dgate = narrow_slopes.data(),
                                   .narrow_dup = narrow_slopes.data() + kUp};
  gate_tile_backward(tile);
  std::vector<T> dgate(kColumns);
  std::vector<T> dup(kColumns);
  for (int64_t r = 0; r < kRows; ++r) {
    swiglu_backward(g.data() + r * kStride,
                    gate.data() + r * kWidth,
                    up.data() + r * kWidth,
                    kColumns,
                    dgate.data(),
                    dup.data());
    for (int64_t c = 0; c < kColumns; ++c) {
      const auto to = static_cast<size_t>(r * kSlopeStride + c);
      const auto at = static_cast<size_t>(r * kWidth + c);
      const auto column = static_cast<size_t>(c);
      const T few = 32 * std::numeric_limits<T>::epsilon();
      EXPECT_NEAR(slopes[to], dgate[column], few);
      EXPECT_NEAR(slopes[to + kUp], dup[column], few);
      EXPECT_EQ(narrow_slopes[to], tensor::to_bf16(static_cast<float>(slopes[to])));
      EXPECT_EQ(narrow_slopes[to + kUp], tensor::to_bf16(static_cast<float>(slopes[to + kUp])));
      const double x = static_cast<double>(gate[at]);
      const double pull = static_cast<double>(g[static_cast<size_t>(r * kStride + c)]);
      const double h = 1e-5;
      EXPECT_NEAR(static_cast<double>(slopes[to]),
                  pull * static_cast<double>(up[at]) * (silu(x + h) - silu(x - h)) / (2 * h),
                  1e-5);
      EXPECT_NEAR(static_cast<double>(slopes[to + kUp]), pull * silu(x), 1e-5);
    }
    EXPECT_EQ(slopes[static_cast<size_t>(r * kSlopeStride + kColumns)], T(77));
    EXPECT_EQ(narrow_slopes[static_cast<size_t>(r * kSlopeStride + kUp + kColumns)], 7);
  }
}

TYPED_TEST(GatedTiles, SlopesThatNobodyAsksForAreNotWritten) {
  using T = typename TypeParam::Number;
  using K = typename TypeParam::Kept;
  const std::vector<T> g(3, T(1));
  const std::vector<K> kept(3, K(0));
  std::vector<uint16_t> narrow_slopes(6, 7);
  gate_tile_backward<T, K>({.rows = 1,
                            .columns = 3,
                            .stride = 3,
                            .g = g.data(),
                            .width = 3,
                            .gate = kept.data(),
                            .up = kept.data(),
                            .slope_stride = 6,
                            .narrow_dgate = narrow_slopes.data(),
                            .narrow_dup = narrow_slopes.data() + 3});
  EXPECT_EQ(narrow_slopes, std::vector<uint16_t>(6, 0));
}

}  // namespace
}  // namespace attune::nn
