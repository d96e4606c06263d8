#include "attune/tensor/turned_product.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include <ATen/Parallel.h>

#include "attune/core/clones.h"
#include "attune/tensor/narrow.h"
#include "attune/tensor/tiles.h"
#include "attune/tensor/turn.h"

namespace attune::tensor {
namespace {

// Columns of g that are turned at a time, so that they take a few megabytes at most.
constexpr int64_t kSlice = 512;

// to[o][m] = g[m][o] for M rows and `columns` columns.
ATTUNE_CLONES void turn_columns(
    const float* g, int64_t stride, int64_t M, int64_t columns, float* to) {
  const int64_t whole = M / kTurnSide * kTurnSide;
  for (int64_t o = 0; o < columns; o += kTurnSide) {
    const bool fits = o + kTurnSide <= columns;
    for (int64_t m = 0; fits && m < whole; m += kTurnSide) {
      turn(g + m * stride + o, stride, to + o * M + m, M);
    }
    for (int64_t i = o; i < std::min(columns, o + kTurnSide); ++i) {
      for (int64_t m = fits ? whole : 0; m < M; ++m) {
        to[i * M + m] = g[m * stride + i];
      }
    }
  }
}

// The same, rounded.
ATTUNE_CLONES void turn_columns(
    const float* g, int64_t stride, int64_t M, int64_t columns, uint16_t* to) {
  std::array<float, kTurnSide * kTurnSide> block;
  const int64_t whole = M / kTurnSide * kTurnSide;
  for (int64_t o = 0; o < columns; o += kTurnSide) {
    const bool fits = o + kTurnSide <= columns;
    for (int64_t m = 0; fits && m < whole; m += kTurnSide) {
      turn(g + m * stride + o, stride, block.data(), kTurnSide);
      for (int64_t i = 0; i < kTurnSide; ++i) {
        for (int64_t j = 0; j < kTurnSide; ++j) {
          to[(o + i) * M + m + j] = to_bf16(block[static_cast<size_t>(i * kTurnSide + j)]);
        }
      }
    }
    for (int64_t i = o; i < std::min(columns, o + kTurnSide); ++i) {
      for (int64_t m = fits ? whole : 0; m < M; ++m) {
        to[i * M + m] = to_bf16(g[m * stride + i]);
      }
    }
  }
}

void turn_columns(const double* g, int64_t stride, int64_t M, int64_t columns, double* to) {
  for (int64_t o = 0; o < columns; ++o) {
    for (int64_t m = 0; m < M; ++m) {
      to[o * M + m] = g[m * stride + o];
    }
  }
}

template <class Number>
Number* room(int64_t count) {
  thread_local std::vector<Number> numbers;
  if (static_cast<int64_t>(numbers.size()) < count) {
    numbers.resize(static_cast<size_t>(count));
  }
  return numbers.data();
}

// A slice of g's columns, turned, as the left factor.
template <class T, class Number>
Rows turned(const T* g, int64_t stride, int64_t M, int64_t columns) {
  Number* const to = room<Number>(M * columns);
  at::parallel_for(0, (columns + kTurnSide - 1) / kTurnSide, 1, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kTurnSide;
    turn_columns(g + first, stride, M, std::min(end * kTurnSide, columns) - first, to + first * M);
  });
  return {.data = to,
          .dtype = std::is_same_v<T, Number> ? c10::CppTypeToScalarType<T>::value : at::kBFloat16,
          .stride = M};
}

}  // namespace

template <class T>
void add_turned_product(int64_t M,
                        int64_t O,
                        int64_t I,
                        const T* g,
                        int64_t g_stride,
                        const T* x,
                        int64_t x_stride,
                        bool narrow,
                        T* to,
                        int64_t to_stride) {
  if (M == 0) {
    return;
  }
  constexpr at::ScalarType kType = c10::CppTypeToScalarType<T>::value;
  // bf16 products take rows in pairs; the last of an odd number comes as it is.
  const int64_t paired = narrow ? M / 2 * 2 : M;
  for (int64_t first = 0; first < O; first += kSlice) {
    const int64_t columns = std::min(kSlice, O - first);
    std::array<std::vector<Summand>, 1> sum;
    if (paired > 0) {
      Rows left;
      if constexpr (std::is_same_v<T, float>) {
        left = narrow ? turned<T, uint16_t>(g + first, g_stride, paired, columns)
                      : turned<T, T>(g + first, g_stride, paired, columns);
      } else {
        left = turned<T, T>(g + first, g_stride, paired, columns);
      }
      sum[0].push_back({.x = left,
                        .K = paired,
                        .w = {.data = x, .dtype = kType, .stride = x_stride},
                        .transposed = false});
    }
    if (paired < M) {
      sum[0].push_back({.x = {.data = g + paired * g_stride + first, .dtype = kType, .stride = 1},
                        .K = 1,
                        .w = {.data = x + paired * x_stride, .dtype = kType, .stride = x_stride},
                        .transposed = false});
    }
    tile_product<T>(columns, I, sum, [&](const Tile<T>& tile) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        const T* const from = tile.y[0] + r * Tile<T>::kStride;
        T* const line = to + (first + tile.row + r) * to_stride + tile.column;
        for (int64_t c = 0; c < tile.columns; ++c) {
          line[c] += from[c];
        }
      }
    });
  }
}

template void add_turned_product(
    int64_t, int64_t, int64_t, const float*, int64_t, const float*, int64_t, bool, float*, int64_t);
template void add_turned_product(int64_t,
                                 int64_t,
                                 int64_t,
                                 const double*,
                                 int64_t,
                                 const double*,
                                 int64_t,
                                 bool,
                                 double*,
                                 int64_t);

}  // namespace attune::tensor
