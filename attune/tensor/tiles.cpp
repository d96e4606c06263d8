#include "attune/tensor/tiles.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include "attune/core/clones.h"
#include "attune/core/error.h"
#include "attune/tensor/blas.h"
#include "attune/tensor/narrow.h"
#include "attune/tensor/parallel.h"
#include "attune/tensor/turn.h"

namespace attune::tensor {
namespace {

constexpr int64_t kPanel = Tile<float>::kStride;
constexpr int64_t kBlockRows = 64;

// A panel is `columns` columns of B: [K][columns] in f32, [K/2][columns][2] in bf16.

ATTUNE_CLONES void pack_plain(
    const float* w, int64_t stride, int64_t columns, int64_t K, float* out) {
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t j = 0; j < columns; ++j) {
      out[k * columns + j] = w[k * stride + j];
    }
  }
}

ATTUNE_CLONES void pack_transposed(
    const float* w, int64_t stride, int64_t columns, int64_t K, float* out) {
  constexpr int64_t kSide = kTurnSide;
  const int64_t whole = K / kSide * kSide;
  int64_t j = 0;
  for (; j + kSide <= columns; j += kSide) {
    for (int64_t k = 0; k < whole; k += kSide) {
      turn(w + j * stride + k, stride, out + k * columns + j, columns);
    }
  }
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t rest = k < whole ? j : 0; rest < columns; ++rest) {
      out[k * columns + rest] = w[rest * stride + k];
    }
  }
}

ATTUNE_CLONES void pack_pairs(
    const float* w, int64_t stride, int64_t columns, int64_t K, uint16_t* out) {
  for (int64_t k = 0; k < K; k += 2) {
    for (int64_t j = 0; j < columns; ++j) {
      out[k * columns + 2 * j] = to_bf16(w[k * stride + j]);
      out[k * columns + 2 * j + 1] = to_bf16(w[(k + 1) * stride + j]);
    }
  }
}

ATTUNE_CLONES void pack_pairs_transposed(
    const float* w, int64_t stride, int64_t columns, int64_t K, uint16_t* out) {
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t k = 0; k < K; k += 2) {
      out[k * columns + 2 * j] = to_bf16(w[j * stride + k]);
      out[k * columns + 2 * j + 1] = to_bf16(w[j * stride + k + 1]);
    }
  }
}

ATTUNE_CLONES void widen_rows(
    const uint16_t* w, int64_t stride, int64_t rows, int64_t width, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < width; ++j) {
      out[r * width + j] = from_bf16(w[r * stride + j]);
    }
  }
}

struct Scratch {
  std::vector<float> panels;
  std::vector<float> wide;  // a panel of bf16 weights, widened
  std::array<std::vector<double>, 2> tiles;
};

Scratch& scratch() {
  thread_local Scratch scratch;
  return scratch;
}

template <class Number>
void grow(std::vector<Number>& v, int64_t size) {
  if (static_cast<int64_t>(v.size()) < size) {
    v.resize(static_cast<size_t>(size));
  }
}

// The numbers of a panel that stand at w + offset, rows of `width`.
const float* widened(const Summand& s, int64_t offset, int64_t rows, int64_t width, Scratch& own) {
  grow(own.wide, rows * width);
  widen_rows(
      static_cast<const uint16_t*>(s.w.data) + offset, s.w.stride, rows, width, own.wide.data());
  return own.wide.data();
}

void pack(const Summand& s, int64_t column, int64_t columns, float* panel, Scratch& own) {
  const int64_t offset = s.transposed ? column * s.w.stride : column;
  const int64_t rows = s.transposed ? columns : s.K;
  const int64_t width = s.transposed ? s.K : columns;
  const bool narrow = s.w.dtype == at::kBFloat16;
  const float* const w =
      narrow ? widened(s, offset, rows, width, own) : static_cast<const float*>(s.w.data) + offset;
  const int64_t stride = narrow ? width : s.w.stride;
  if (s.x.dtype == at::kBFloat16) {
    auto* const pairs = reinterpret_cast<uint16_t*>(panel);
    (s.transposed ? pack_pairs_transposed : pack_pairs)(w, stride, columns, s.K, pairs);
  } else {
    (s.transposed ? pack_transposed : pack_plain)(w, stride, columns, s.K, panel);
  }
}

int64_t panel_floats(const Summand& s) {
  return s.x.dtype == at::kBFloat16 ? s.K / 2 * kPanel : s.K * kPanel;
}

// A panel in use for a single block of rows is read where it stands, if the kernel can.
bool reads_in_place(const Summand& s, int64_t blocks) {
  return blocks == 1 && !s.transposed && s.x.dtype == at::kFloat && s.w.dtype == at::kFloat;
}

void multiply(const Summand& s,
              const Tile<float>& at,
              const float* panel,
              int64_t panel_stride,
              bool add,
              float* y) {
  constexpr int64_t kStride = Tile<float>::kStride;
  if (s.x.dtype == at::kBFloat16) {
    at::native::cpublas::brgemm(at.rows,
                                at.columns,
                                s.K,
                                s.x.stride,
                                at.columns,
                                kStride,
                                add,
                                static_cast<const at::BFloat16*>(s.x.data) + at.row * s.x.stride,
                                reinterpret_cast<const at::BFloat16*>(panel),
                                y,
                                /*is_vnni=*/true);
  } else {
    at::native::cpublas::brgemm(at.rows,
                                at.columns,
                                s.K,
                                s.x.stride,
                                panel_stride,
                                kStride,
                                add,
                                static_cast<const float*>(s.x.data) + at.row * s.x.stride,
                                panel,
                                y,
                                /*is_vnni=*/false);
  }
}

// f64 is for checks, not for speed: no panels.
void multiply(const Summand& s, const Tile<double>& at, bool add, double* y) {
  const auto* const w = static_cast<const double*>(s.w.data);
  gemm<double>(s.transposed ? Side::kTransposed : Side::kPlain,
               Side::kPlain,
               at.columns,
               at.rows,
               s.K,
               1.0,
               w + (s.transposed ? at.column * s.w.stride : at.column),
               s.w.stride,
               static_cast<const double*>(s.x.data) + at.row * s.x.stride,
               s.x.stride,
               add ? 1.0 : 0.0,
               y,
               Tile<double>::kStride);
}

void check_summand(const Summand& s, at::ScalarType type) {
  const bool narrow_x = s.x.dtype == at::kBFloat16;
  const bool fits = type == at::kDouble
                        ? s.x.dtype == at::kDouble && s.w.dtype == at::kDouble
                        : (narrow_x || s.x.dtype == at::kFloat) &&
                              (s.w.dtype == at::kFloat || s.w.dtype == at::kBFloat16);
  ensure(fits && s.K > 0 && (!narrow_x || s.K % 2 == 0),
         "tile_product: {} times {} over {}",
         at::toString(s.x.dtype),
         at::toString(s.w.dtype),
         s.K);
}

}  // namespace

template <class T>
void tile_product(int64_t M,
                  int64_t N,
                  std::span<const std::vector<Summand>> products,
                  const std::function<void(const Tile<T>&)>& store) {
  constexpr bool kPacks = std::is_same_v<T, float>;
  int64_t floats = 0;
  bool narrow = false;
  for (const std::vector<Summand>& sum : products) {
    ensure(!sum.empty(), "tile_product: a sum of nothing");
    for (const Summand& s : sum) {
      check_summand(s, c10::CppTypeToScalarType<T>::value);
      floats += panel_floats(s);
      narrow = narrow || s.x.dtype == at::kBFloat16;
    }
  }
  const int64_t blocks = (M + kBlockRows - 1) / kBlockRows;
  const int64_t panels = (N + kPanel - 1) / kPanel;
  share_out(panels * blocks, [&](Pieces& pieces) {
    Scratch& own = scratch();
    if constexpr (kPacks) {
      grow(own.panels, floats);
    }
    for (std::vector<double>& tile : own.tiles) {
      grow(tile, kBlockRows * Tile<T>::kStride);
    }
    int64_t packed = -1;
    for (int64_t task = pieces.next(); task >= 0; task = pieces.next()) {
      const int64_t panel = task / blocks;
      Tile<T> tile;
      tile.row = task % blocks * kBlockRows;
      tile.rows = std::min(kBlockRows, M - tile.row);
      tile.column = panel * kPanel;
      tile.columns = std::min(kPanel, N - tile.column);
      float* at = own.panels.data();
      for (size_t i = 0; i < products.size(); ++i) {
        tile.y[i] = reinterpret_cast<T*>(own.tiles[i].data());
        bool add = false;
        for (const Summand& s : products[i]) {
          if constexpr (kPacks) {
            if (reads_in_place(s, blocks)) {
              const float* const w = static_cast<const float*>(s.w.data) + tile.column;
              multiply(s, tile, w, s.w.stride, add, tile.y[i]);
            } else {
              if (panel != packed) {
                pack(s, tile.column, tile.columns, at, own);
              }
              multiply(s, tile, at, tile.columns, add, tile.y[i]);
            }
            at += panel_floats(s);
          } else {
            multiply(s, tile, add, tile.y[i]);
          }
          add = true;
        }
      }
      packed = panel;
      store(tile);
    }
    if (narrow) {
      // Where bf16 products take tile registers, others must find them free.
      at::native::cpublas::brgemm_release();
    }
  });
}

template void tile_product(int64_t,
                           int64_t,
                           std::span<const std::vector<Summand>>,
                           const std::function<void(const Tile<float>&)>&);
template void tile_product(int64_t,
                           int64_t,
                           std::span<const std::vector<Summand>>,
                           const std::function<void(const Tile<double>&)>&);

bool tiles_take_bf16() {
  static const bool takes = [] {
    const std::vector<at::BFloat16> ones(size_t{32}, at::BFloat16(1.0F));
    std::vector<float> y(size_t{256}, 0.0F);
    try {
      at::native::cpublas::brgemm(
          16, 16, 2, 2, 16, 16, false, ones.data(), ones.data(), y.data(), /*is_vnni=*/true);
    } catch (const c10::Error&) {
      return false;
    }
    return y[0] == 2.0F && y[255] == 2.0F;
  }();
  return takes;
}

double measure_tiles(int64_t rows, int64_t in, int64_t out, at::ScalarType dtype) {
  if (dtype == at::kBFloat16 && (!tiles_take_bf16() || in % 2 != 0)) {
    return 0;
  }
  const at::Tensor x_MI = at::ones({rows, in});
  const at::Tensor w_OI = at::ones({out, in});
  const at::Tensor y_MO = at::empty({rows, out});
  float* const y = y_MO.data_ptr<float>();
  double best_s = 1e9;
  for (int run = 0; run < 6; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor x = x_MI.to(dtype);
    const std::array product{
        std::vector<Summand>{{.x = {.data = x.const_data_ptr(), .dtype = dtype, .stride = in},
                              .K = in,
                              .w = {.data = w_OI.const_data_ptr(), .stride = in},
                              .transposed = true}}};
    tile_product<float>(rows, out, product, [&](const Tile<float>& tile) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        std::memcpy(y + (tile.row + r) * out + tile.column,
                    tile.y[0] + r * Tile<float>::kStride,
                    static_cast<size_t>(tile.columns) * sizeof(float));
      }
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best_s = std::min(best_s, took.count());
  }
  return 2e-9 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out) /
         best_s;
}

}  // namespace attune::tensor
