#include "attune/nn/head_chunks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include "attune/nn/kernels.h"
#include "attune/tensor/gemm.h"
#include "attune/tensor/parallel.h"
#include "attune/tensor/tiles.h"
#include "attune/tensor/turned_product.h"

namespace attune::nn {
namespace {

using tensor::Narrow;
using tensor::Rows;
using tensor::Summand;
using tensor::Tile;

constexpr int64_t kWords = 2016;  // of a chunk: 42 panels of a tile product
constexpr int64_t kRowsPerTask = 4;

// Words [begin, begin + count) of the head, and the logits of all rows over them.
template <class T>
class Chunk {
 public:
  Chunk(const at::Tensor& h_CD, const at::Tensor& weight_VD)
      : h_CD_(h_CD),
        weight_VD_(weight_VD),
        C_(h_CD.size(0)),
        D_(h_CD.size(1)),
        logits_(at::empty({C_, std::min(kWords, weight_VD.size(0))}, h_CD.options())) {
    const Narrow mode = tensor::narrow_products();
    const bool fits = std::is_same_v<T, float> && D_ % 2 == 0 &&
                      weight_VD.numel() >= tensor::kNarrowWeight && tensor::hand_written_trunk();
    narrows_back_ = fits && mode != Narrow::kNone;
    if (fits && mode == Narrow::kAll) {
      narrow_h_CD_ = h_CD.to(at::kBFloat16);
    }
    if (narrows_back_) {
      narrow_logits_ = at::empty(logits_.sizes(), h_CD.options().dtype(at::kBFloat16));
    }
  }

  /// Moves to the words from `begin` on and computes their logits.
  void compute(int64_t begin) {
    begin_ = begin;
    count_ = std::min(kWords, weight_VD_.size(0) - begin);
    if (!tensor::hand_written_trunk()) {
      const at::Tensor w = weight_VD_.narrow(0, begin, count_);
      whole_ = tensor::product_nt(h_CD_, w).contiguous();
      return;
    }
    const at::Tensor& x = narrow_h_CD_.defined() ? narrow_h_CD_ : h_CD_;
    run({.x = {.data = x.const_data_ptr(), .dtype = x.scalar_type(), .stride = D_},
         .K = D_,
         .w = words(),
         .transposed = true},
        count_,
        [this](const Tile<T>& tile, int64_t r, int64_t at) {
          std::copy_n(tile.y[0] + r * Tile<T>::kStride, tile.columns, row(tile.row + r) + at);
        });
  }

  /// to_CD += numbers weight, the numbers being what stands where the logits were.
  void add_product(const at::Tensor& to_CD) {
    T* const to = to_CD.data_ptr<T>();
    if (!tensor::hand_written_trunk()) {
      to_CD.add_(tensor::slope_product_nn(whole_, weight_VD_.narrow(0, begin_, count_)));
      return;
    }
    Rows x{.data = row(0), .dtype = h_CD_.scalar_type(), .stride = count_};
    if constexpr (std::is_same_v<T, float>) {
      if (narrows_back_ && count_ % 2 == 0) {
        auto* const rounded = static_cast<uint16_t*>(narrow_logits_.data_ptr());
        tensor::share_out(C_, kRowsPerTask, [&](int64_t first, int64_t last) {
          narrow(row(first), (last - first) * count_, rounded + first * count_);
        });
        x = {.data = rounded, .dtype = at::kBFloat16, .stride = count_};
      }
    }
    run({.x = x, .K = count_, .w = words(), .transposed = false},
        D_,
        [&](const Tile<T>& tile, int64_t r, int64_t at) {
          T* const line = to + (tile.row + r) * D_ + at;
          const T* const y = tile.y[0] + r * Tile<T>::kStride;
          for (int64_t c = 0; c < tile.columns; ++c) {
            line[c] += y[c];
          }
        });
  }

  /// to_VD += numbers^T h, for the chunk's words.
  void add_words_slope(const at::Tensor& to_VD) {
    if (!tensor::hand_written_trunk()) {
      to_VD.narrow(0, begin_, count_).add_(tensor::slope_product_tn(whole_, h_CD_));
      return;
    }
    tensor::add_turned_product<T>({.M = C_,
                                   .O = count_,
                                   .I = D_,
                                   .g = row(0),
                                   .g_stride = count_,
                                   .x = h_CD_.const_data_ptr<T>(),
                                   .x_stride = D_,
                                   .to = to_VD.data_ptr<T>() + begin_ * D_,
                                   .to_stride = D_,
                                   .narrow = narrows_back_});
  }

  [[nodiscard]] T* row(int64_t r) {
    return (whole_.defined() ? whole_ : logits_).template data_ptr<T>() + r * count_;
  }
  [[nodiscard]] int64_t begin() const {
    return begin_;
  }
  [[nodiscard]] int64_t count() const {
    return count_;
  }

 private:
  [[nodiscard]] Rows words() const {
    const auto size = static_cast<int64_t>(weight_VD_.element_size());
    return {.data = static_cast<const char*>(weight_VD_.const_data_ptr()) + begin_ * D_ * size,
            .dtype = weight_VD_.scalar_type(),
            .stride = D_};
  }

  void run(const Summand& summand,
           int64_t columns,
           const std::function<void(const Tile<T>&, int64_t, int64_t)>& store_row) {
    const std::array sums{std::vector<Summand>{summand}};
    tensor::tile_product<T>(C_, columns, sums, [&](const Tile<T>& tile) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        store_row(tile, r, tile.column);
      }
    });
  }

  const at::Tensor& h_CD_;
  const at::Tensor& weight_VD_;
  int64_t C_;
  int64_t D_;
  at::Tensor logits_;  // [C, kWords], used as [C, count]
  at::Tensor narrow_logits_;
  at::Tensor narrow_h_CD_;
  at::Tensor whole_;  // in its place where LibTorch's product makes its own
  bool narrows_back_ = false;
  int64_t begin_ = 0;
  int64_t count_ = 0;
};

at::Tensor contiguous_in(const at::Tensor& weight_VD, const at::Tensor& h_CD) {
  const bool kept = weight_VD.scalar_type() == at::kBFloat16 && h_CD.scalar_type() == at::kFloat;
  return (kept ? weight_VD : weight_VD.to(h_CD.scalar_type())).contiguous();
}

// Of one row, up to the words that have passed.
struct RowSums {
  double top = -std::numeric_limits<double>::infinity();
  double sum = 0;      // of exp(logit - top)
  double squares = 0;  // of its square
  double own = 0;      // the label's logit
};

template <class T>
void pass_row(T* line, int64_t count, bool squares, RowSums& row, T* slope, int64_t D) {
  const double top = std::max(row.top, static_cast<double>(largest(line, count)));
  const double shrink = std::exp(row.top - top);  // 0 at first
  row.top = top;
  row.sum = row.sum * shrink + static_cast<double>(exp_shifted(line, static_cast<T>(top), count));
  if (squares) {
    double sum = 0;
    for (int64_t v = 0; v < count; ++v) {
      sum += static_cast<double>(line[v]) * static_cast<double>(line[v]);
    }
    row.squares = row.squares * shrink * shrink + sum;
  }
  if (slope != nullptr && shrink != 1) {
    for (int64_t d = 0; d < D; ++d) {
      slope[d] *= static_cast<T>(shrink);
    }
  }
}

template <class T>
HeadSums sums_of(const at::Tensor& h_CD,
                 const at::Tensor& weight_VD,
                 const at::Tensor& label_C,
                 bool slope,
                 bool concentration) {
  const int64_t C = h_CD.size(0);
  const int64_t D = h_CD.size(1);
  const int64_t V = weight_VD.size(0);
  HeadSums sums;
  const at::Tensor pulled_CD = slope ? at::zeros_like(h_CD) : at::Tensor();
  T* const pulled = slope ? pulled_CD.data_ptr<T>() : nullptr;
  const auto* const label = label_C.const_data_ptr<int64_t>();
  std::vector<RowSums> rows(static_cast<size_t>(C));
  Chunk<T> chunk(h_CD, weight_VD);
  for (int64_t begin = 0; begin < V; begin += kWords) {
    chunk.compute(begin);
    tensor::share_out(C, kRowsPerTask, [&](int64_t first, int64_t last) {
      for (int64_t c = first; c < last; ++c) {
        RowSums& row = rows[static_cast<size_t>(c)];
        if (label[c] >= begin && label[c] < begin + chunk.count()) {
          row.own = static_cast<double>(chunk.row(c)[label[c] - begin]);
        }
        pass_row(
            chunk.row(c), chunk.count(), concentration, row, slope ? pulled + c * D : nullptr, D);
      }
    });
    if (slope) {
      chunk.add_product(pulled_CD);
    }
  }
  sums.logp_C = at::empty({C}, h_CD.options().dtype(at::kDouble));
  sums.lse_C = at::empty_like(sums.logp_C);
  for (int64_t c = 0; c < C; ++c) {
    const RowSums& row = rows[static_cast<size_t>(c)];
    const double lse = row.top + std::log(row.sum);
    sums.lse_C.data_ptr<double>()[c] = lse;
    sums.logp_C.data_ptr<double>()[c] = row.own - lse;
  }
  if (concentration) {
    sums.concentration_C = at::empty_like(sums.logp_C);
    for (int64_t c = 0; c < C; ++c) {
      const RowSums& row = rows[static_cast<size_t>(c)];
      sums.concentration_C.data_ptr<double>()[c] = std::log(row.squares) - 2 * std::log(row.sum);
    }
  }
  if (slope) {
    sums.slope_CD = weight_VD.index_select(0, label_C).to(h_CD.scalar_type());
    T* const to = sums.slope_CD.data_ptr<T>();
    tensor::share_out(C, kRowsPerTask, [&](int64_t first, int64_t last) {
      for (int64_t c = first; c < last; ++c) {
        const T share = static_cast<T>(1 / rows[static_cast<size_t>(c)].sum);
        for (int64_t d = 0; d < D; ++d) {
          to[c * D + d] -= pulled[c * D + d] * share;
        }
      }
    });
  }
  return sums;
}

template <class T>
at::Tensor slopes_of(const at::Tensor& h_CD,
                     const at::Tensor& weight_VD,
                     const at::Tensor& label_C,
                     const double* lse,
                     const double* g,
                     const at::Tensor& to_VD) {
  const int64_t C = h_CD.size(0);
  const int64_t V = weight_VD.size(0);
  const auto* const label = label_C.const_data_ptr<int64_t>();
  at::Tensor slope_CD = at::zeros_like(h_CD);
  Chunk<T> chunk(h_CD, weight_VD);
  for (int64_t begin = 0; begin < V; begin += kWords) {
    chunk.compute(begin);
    tensor::share_out(C, kRowsPerTask, [&](int64_t first, int64_t last) {
      for (int64_t c = first; c < last; ++c) {
        T* const line = chunk.row(c);
        exp_shifted(line, static_cast<T>(lse[c]), chunk.count());
        const T pull = static_cast<T>(-g[c]);
        for (int64_t v = 0; v < chunk.count(); ++v) {
          line[v] *= pull;
        }
        if (label[c] >= begin && label[c] < begin + chunk.count()) {
          line[label[c] - begin] -= pull;
        }
      }
    });
    chunk.add_words_slope(to_VD);
    chunk.add_product(slope_CD);
  }
  return slope_CD;
}

}  // namespace

HeadSums head_sums(const at::Tensor& h_CD,
                   const at::Tensor& weight_VD,
                   const at::Tensor& label_C,
                   bool slope,
                   bool concentration) {
  HeadSums sums;
  const at::Tensor w_VD = contiguous_in(weight_VD, h_CD);
  AT_DISPATCH_FLOATING_TYPES(h_CD.scalar_type(), "head_sums", [&] {
    sums = sums_of<scalar_t>(h_CD, w_VD, label_C, slope, concentration);
  });
  return sums;
}

at::Tensor head_slopes(const at::Tensor& h_CD,
                       const at::Tensor& weight_VD,
                       const at::Tensor& label_C,
                       const at::Tensor& lse_C,
                       const at::Tensor& g_C,
                       const at::Tensor& to_VD) {
  at::Tensor slope_CD;
  const at::Tensor g = g_C.to(at::kDouble).contiguous();
  AT_DISPATCH_FLOATING_TYPES(h_CD.scalar_type(), "head_slopes", [&] {
    slope_CD = slopes_of<scalar_t>(h_CD,
                                   weight_VD.contiguous(),
                                   label_C,
                                   lse_C.const_data_ptr<double>(),
                                   g.const_data_ptr<double>(),
                                   to_VD);
  });
  return slope_CD;
}

int64_t head_bytes(int64_t C) {
  return C * kWords * static_cast<int64_t>(sizeof(float) + sizeof(uint16_t));
}

}  // namespace attune::nn
