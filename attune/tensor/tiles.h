// Matrix products tile by tile, for code that does more with a tile than to store it.
//
// A product of LibTorch writes its whole result to fresh memory, from where the next operator reads
// it again. Here a tile of the result is handed over while it is in the first-level cache, several
// products may share one tile (their sum, or side by side), and weights are brought into the form
// that the kernel reads panel by panel, so that no second copy of them is kept.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace attune::tensor {

/// Row-major numbers: row r starts at data + r * stride, in units of the dtype.
struct Rows {
  const void* data = nullptr;
  at::ScalarType dtype = at::kFloat;
  int64_t stride = 0;
};

/// One product of a sum: x_MK w. Where x is bf16, w is rounded to bf16 as well; sums are f32.
struct Summand {
  Rows x = {};
  int64_t K = 0;
  Rows w = {};
  bool transposed = false;  ///< w is stored as [N, K], as a linear layer's weight in its forward
                            ///< pass; else as [K, N].
};

/// A piece of the result: rows [row, row + rows), columns [column, column + columns).
template <class T>
struct Tile {
  static constexpr int64_t kStride = 48;
  int64_t row = 0;
  int64_t rows = 0;
  int64_t column = 0;
  int64_t columns = 0;
  std::array<T*, 2> y = {};  ///< Of each product: y[i][r * kStride + c]. May be written to.
};

/// Computes y_i = sum of the summands of products[i], all [M, N], tile by tile on all threads, and
/// hands each tile to `store` once; there are one or two products. A number does not depend on the
/// number of threads, nor on the other rows.
///
/// T f32: x f32 or bf16, w f32 or bf16; K is even where x is bf16. T f64: x and w f64.
template <class T>
void tile_product(int64_t M,
                  int64_t N,
                  std::span<const std::vector<Summand>> products,
                  const std::function<void(const Tile<T>&)>& store);

/// Whether this machine's kernels take bf16 numbers.
bool tiles_take_bf16();

/// GFLOP/s of tile_product at [rows, in] x [out, in]^T, best of a few runs; x as f32, or as bf16
/// with its conversion. 0 where bf16 is not to be had.
double measure_tiles(int64_t rows, int64_t in, int64_t out, at::ScalarType dtype);

}  // namespace attune::tensor
