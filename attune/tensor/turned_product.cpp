#include "attune/tensor/turned_product.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "attune/core/clones.h"
#include "attune/tensor/narrow.h"
#include "attune/tensor/parallel.h"
#include "attune/tensor/tiles.h"
#include "attune/tensor/turn.h"

namespace attune::tensor {
namespace {

// Columns of g that are turned at a time, so that they take a few megabytes at most.
constexpr int64_t kSlice = 512;

// Rows of a summand, and numbers from one row to the next of what is turned. The kernels of each
// depth are made and kept, so there must be few: this, three multiples of kStep, and what is less.
constexpr int64_t kDepth = 256;
constexpr int64_t kStep = 64;

// to[o][m] = g[m][o] for M rows, kDepth at most, and `columns` columns.
ATTUNE_CLONES void turn_columns(
    const float* g, int64_t stride, int64_t M, int64_t columns, float* to) {
  const int64_t whole = M / kTurnSide * kTurnSide;
  for (int64_t o = 0; o < columns; o += kTurnSide) {
    const bool fits = o + kTurnSide <= columns;
    for (int64_t m = 0; fits && m < whole; m += kTurnSide) {
      turn(g + m * stride + o, stride, to + o * kDepth + m, kDepth);
    }
    for (int64_t i = o; i < std::min(columns, o + kTurnSide); ++i) {
      for (int64_t m = fits ? whole : 0; m < M; ++m) {
        to[i * kDepth + m] = g[m * stride + i];
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
          to[(o + i) * kDepth + m + j] = to_bf16(block[static_cast<size_t>(i * kTurnSide + j)]);
        }
      }
    }
    for (int64_t i = o; i < std::min(columns, o + kTurnSide); ++i) {
      for (int64_t m = fits ? whole : 0; m < M; ++m) {
        to[i * kDepth + m] = to_bf16(g[m * stride + i]);
      }
    }
  }
}

void turn_columns(const double* g, int64_t stride, int64_t M, int64_t columns, double* to) {
  for (int64_t o = 0; o < columns; ++o) {
    for (int64_t m = 0; m < M; ++m) {
      to[o * kDepth + m] = g[m * stride + o];
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

// The product of rows [0, M) over columns [first, first + columns) of g, as summands of few depths:
// g turned, [columns, kDepth] for every kDepth rows.
template <class Number, class T>
void append_summands(const TurnedProduct<T>& p,
                     int64_t M,
                     int64_t first,
                     int64_t columns,
                     std::vector<Summand>& sum) {
  const int64_t depths = (M + kDepth - 1) / kDepth;
  Number* const to = room<Number>(depths * columns * kDepth);
  share_out(columns, 4 * kTurnSide, [&](int64_t from, int64_t end) {
    const int64_t count = end - from;
    for (int64_t m = 0; m < M; m += kDepth) {
      turn_columns(p.g + m * p.g_stride + first + from,
                   p.g_stride,
                   std::min(kDepth, M - m),
                   count,
                   to + m * columns + from * kDepth);
    }
  });
  constexpr at::ScalarType kType = c10::CppTypeToScalarType<T>::value;
  for (int64_t m = 0; m < M;) {
    const int64_t left = M - m;
    const int64_t K = left >= kDepth ? kDepth : left >= kStep ? left / kStep * kStep : left;
    sum.push_back({.x = {.data = to + m / kDepth * kDepth * columns + m % kDepth,
                         .dtype = std::is_same_v<T, Number> ? kType : at::kBFloat16,
                         .stride = kDepth},
                   .K = K,
                   .w = {.data = p.x + m * p.x_stride, .dtype = kType, .stride = p.x_stride},
                   .transposed = false});
    m += K;
  }
}

}  // namespace

template <class T>
void add_turned_product(const TurnedProduct<T>& p) {
  if (p.M == 0) {
    return;
  }
  constexpr at::ScalarType kType = c10::CppTypeToScalarType<T>::value;
  // bf16 products take rows in pairs; the last of an odd number comes as it is.
  const int64_t paired = p.narrow ? p.M / 2 * 2 : p.M;
  for (int64_t first = 0; first < p.O; first += kSlice) {
    const int64_t columns = std::min(kSlice, p.O - first);
    std::array<std::vector<Summand>, 1> sum;
    if constexpr (std::is_same_v<T, float>) {
      if (p.narrow) {
        append_summands<uint16_t>(p, paired, first, columns, sum[0]);
      } else {
        append_summands<T>(p, paired, first, columns, sum[0]);
      }
    } else {
      append_summands<T>(p, paired, first, columns, sum[0]);
    }
    if (paired < p.M) {
      sum[0].push_back(
          {.x = {.data = p.g + paired * p.g_stride + first, .dtype = kType, .stride = 1},
           .K = 1,
           .w = {.data = p.x + paired * p.x_stride, .dtype = kType, .stride = p.x_stride},
           .transposed = false});
    }
    tile_product<T>(columns, p.I, sum, [&](const Tile<T>& tile) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        const T* const from = tile.y[0] + r * Tile<T>::kStride;
        T* const line = p.to + (first + tile.row + r) * p.to_stride + tile.column;
        for (int64_t c = 0; c < tile.columns; ++c) {
          line[c] += from[c];
        }
      }
    });
  }
}

template void add_turned_product(const TurnedProduct<float>&);
template void add_turned_product(const TurnedProduct<double>&);

}  // namespace attune::tensor
