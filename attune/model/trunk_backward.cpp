// The backward pass of the hand-written trunk.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_add.h>

#include "attune/model/trunk_pass.h"
#include "attune/model/trunk_slopes.h"
#include "attune/nn/attention_kernel.h"
#include "attune/nn/gated_tile.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/narrow.h"
#include "attune/tensor/parallel.h"

namespace attune::model {
namespace {

constexpr int64_t kRowsPerTask = 32;
constexpr int64_t kColumnsPerTask = 64;

template <class T, class K>
T number(K x) {
  if constexpr (std::is_same_v<T, K>) {
    return x;
  } else {
    return tensor::from_bf16(x);
  }
}

// `count` kept numbers: themselves, or widened into `room`.
template <class T, class K>
const T* kept_numbers(const K* x, int64_t count, T* room) {
  if constexpr (std::is_same_v<T, K>) {
    return x;
  } else {
    nn::widen(x, count, room);
    return room;
  }
}

// The gradient of a norm's weight: sum over rows of g x rstd.
template <class T, class K>
void norm_weight_slope(
    const at::Tensor& weight, const T* g, const K* x, const T* rstd, int64_t rows, int64_t D) {
  std::vector<T> slope(static_cast<size_t>(D), T(0));
  tensor::share_out(D, kColumnsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = begin; d < end; ++d) {
        slope[static_cast<size_t>(d)] += g[r * D + d] * number<T>(x[r * D + d]) * rstd[r];
      }
    }
  });
  gradient_of(weight).add_(view(slope.data(), 1, D, D).squeeze(0));
}

template <class T>
void add_extra(const tensor::Tile<T>& tile, const T* extra, int64_t width) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    for (int64_t c = 0; c < tile.columns; ++c) {
      tile.y[0][r * tensor::Tile<T>::kStride + c] +=
          extra[(tile.row + r) * width + tile.column + c];
    }
  }
}

}  // namespace

template <class T, class K>
void TrunkPass<T, K>::backward(const at::Tensor& slope_UD) {
  const at::NoGradGuard no_grad;
  backward_last_norm(slope_UD.to(kType).contiguous());
  for (int64_t i = shape_.layers - 1; i >= std::max<int64_t>(lowest_, 0); --i) {
    Kept& kept = slot(i);
    if (recompute_) {
      std::copy_n(memory_.inputs[static_cast<size_t>(i)], N_ * shape_.width, work_.x);
      forward_layer(i, kept);
    }
    const int64_t rows = rows_of(i);
    backward_feed_forward(i, rows, kept);
    backward_output(i, rows, kept);
    backward_attention(i, kept);
    backward_projections(i, kept);
  }
  if (lowest_ < 0) {
    const at::Tensor dx_ND = view(work_.dx, N_, shape_.width, shape_.width);
    gradient_of(model_.embedding()).index_add_(0, input_.tokens_N, dx_ND);
  }
}

template <class T, class K>
void TrunkPass<T, K>::backward_last_norm(const at::Tensor& slope_UD) {
  const int64_t D = shape_.width;
  const T* const g = slope_UD.const_data_ptr<T>();
  const at::Tensor w_D = in_type<T>(model_.norm());
  tensor::share_out(U_, kRowsPerTask, [&](int64_t begin, int64_t end) {
    nn::rms_norm_backward_rows(g + begin * D,
                               memory_.last_UD + begin * D,
                               w_D.const_data_ptr<T>(),
                               memory_.rstd_last + begin,
                               end - begin,
                               D,
                               work_.dx + begin * D);
  });
  if (carries(model_.norm())) {
    norm_weight_slope(model_.norm(), g, memory_.last_UD, memory_.rstd_last, U_, D);
  }
}

template <class T, class K>
void TrunkPass<T, K>::backward_feed_forward(int64_t index, int64_t rows, Kept& kept) {
  const int64_t D = shape_.width;
  const int64_t F = shape_.feed_forward;
  if (trained(index, kDown)) {
    tensor::share_out(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
      std::vector<T> room(static_cast<size_t>(2 * F));
      for (int64_t r = begin; r < end; ++r) {
        const T* const gate = kept_numbers(kept.gate + r * F, F, room.data());
        const T* const up = kept_numbers(kept.up + r * F, F, room.data() + F);
        nn::swiglu(gate, up, F, work_.y + r * F);
      }
    });
    parameter_slopes(index, kDown, work_.dx, D, work_.y, rows, kept);
  }
  backward_gate(index, rows, kept);
  const DecoderLayer& l = layer(index);
  const bool narrow = narrows(l.gate_proj.weight_OI, /*backward=*/true);
  if (trained(index, kGate) || trained(index, kUp)) {
    restore_normed(kept.h, kept.rstd_post, l.post_attention_layernorm, rows);
    parameter_slopes(index, kGate, work_.dgate, 2 * F, work_.normed, rows, kept);
    parameter_slopes(index, kUp, work_.dgate + F, 2 * F, work_.normed, rows, kept);
  }
  std::array<Sum, 1> sum;
  bool extra = false;
  for (const Projection p : {kGate, kUp}) {
    const int64_t at = p == kUp ? F : 0;
    const tensor::Rows slope =
        narrow ? tensor::Rows{.data = work_.narrow + rows * D + at,
                              .dtype = at::kBFloat16,
                              .stride = 2 * F}
               : tensor::Rows{.data = work_.dgate + at, .dtype = kType, .stride = 2 * F};
    add_backward(sum[0], index, p, slope, rows, extra);
  }
  product(rows, D, sum, [&](const tensor::Tile<T>& tile) {
    if (extra) {
      add_extra(tile, work_.extra, D);
    }
    put_tile(tile, tile.y[0], work_.dnormed, D);
  });
  backward_norm(l.post_attention_layernorm, kept.h, kept.rstd_post, rows);
}

// The slopes of gate and up, [rows, 2 F]: rounded behind the operand in work_.narrow, or in
// work_.dgate, or both.
template <class T, class K>
void TrunkPass<T, K>::backward_gate(int64_t index, int64_t rows, Kept& kept) {
  const int64_t D = shape_.width;
  const int64_t F = shape_.feed_forward;
  static_assert(tensor::Tile<T>::kStride <= nn::GatedTile<T, K>::kMostColumns);
  const DecoderLayer& l = layer(index);
  const bool narrow = narrows(l.gate_proj.weight_OI, /*backward=*/true);
  uint16_t* const rounded = narrow ? work_.narrow + rows * D : nullptr;
  std::array<Sum, 1> sum;
  bool extra = false;
  const bool narrow_dx = narrows(l.down_proj.weight_OI, /*backward=*/true);
  add_backward(sum[0], index, kDown, operand(work_.dx, rows, D, narrow_dx), rows, extra);
  product(rows, F, sum, [&](const tensor::Tile<T>& tile) {
    if (extra) {
      add_extra(tile, work_.extra, F);
    }
    const int64_t at = tile.row * F + tile.column;
    const int64_t to = tile.row * 2 * F + tile.column;
    T* const wide = work_.dgate != nullptr ? work_.dgate + to : nullptr;
    nn::gate_tile_backward<T, K>({.rows = tile.rows,
                                  .columns = tile.columns,
                                  .stride = tensor::Tile<T>::kStride,
                                  .g = tile.y[0],
                                  .width = F,
                                  .gate = kept.gate + at,
                                  .up = kept.up + at,
                                  .slope_stride = 2 * F,
                                  .dgate = wide,
                                  .dup = wide != nullptr ? wide + F : nullptr,
                                  .narrow_dgate = narrow ? rounded + to : nullptr,
                                  .narrow_dup = narrow ? rounded + to + F : nullptr});
  });
}

template <class T, class K>
void TrunkPass<T, K>::backward_output(int64_t index, int64_t rows, Kept& kept) {
  const int64_t D = shape_.width;
  const int64_t query = shape_.heads * shape_.head_dim;
  const bool last = index + 1 == shape_.layers;
  if (trained(index, kO)) {
    for (int64_t u = 0; last && u < U_; ++u) {
      std::copy_n(
          kept.out + rows_U_[static_cast<size_t>(u)] * query, query, work_.rows + u * query);
    }
    parameter_slopes(index, kO, work_.dx, D, last ? work_.rows : kept.out, rows, kept);
  }
  std::array<Sum, 1> sum;
  bool extra = false;
  const bool narrow = narrows(linear(index, kO).weight_OI, /*backward=*/true);
  add_backward(sum[0], index, kO, operand(work_.dx, rows, D, narrow), rows, extra);
  T* const to = last ? work_.rows : work_.dout;
  product(rows, query, sum, [&](const tensor::Tile<T>& tile) {
    if (extra) {
      add_extra(tile, work_.extra, query);
    }
    put_tile(tile, tile.y[0], to, query);
  });
  if (last) {
    scatter_wanted();
  }
}

// Slopes of the wanted rows to their places among all; the others' are zero.
template <class T, class K>
void TrunkPass<T, K>::scatter_wanted() {
  const int64_t D = shape_.width;
  const int64_t query = shape_.heads * shape_.head_dim;
  std::fill_n(work_.dout, N_ * query, T(0));
  int64_t end = N_;
  for (int64_t u = U_ - 1; u >= 0; --u) {
    const int64_t n = rows_U_[static_cast<size_t>(u)];
    std::copy_n(work_.rows + u * query, query, work_.dout + n * query);
    // Rows ascend, so what is overwritten behind row u was moved before.
    std::memmove(work_.dx + n * D, work_.dx + u * D, static_cast<size_t>(D) * sizeof(T));
    std::fill(work_.dx + (n + 1) * D, work_.dx + end * D, T(0));
    end = n;
  }
  std::fill_n(work_.dx, end * D, T(0));
}

template <class T, class K>
void TrunkPass<T, K>::backward_attention(int64_t index, Kept& kept) {
  const int64_t query = shape_.heads * shape_.head_dim;
  const int64_t key = shape_.kv_heads * shape_.head_dim;
  const nn::AttentionInput<T> in{.H = shape_.heads,
                                 .G = shape_.kv_heads,
                                 .E = shape_.head_dim,
                                 .q = kept.q,
                                 .k = kept.k,
                                 .v = kept.v};
  T* const dk = work_.dq + N_ * query;
  std::fill_n(dk, 2 * N_ * key, T(0));
  if (index + 1 == shape_.layers) {
    std::fill_n(work_.dq, N_ * query, T(0));  // not every query is in its plan
  }
  nn::attend_tree_backward<T>(in,
                              plan_of(index),
                              {.out = kept.out,
                               .lse = kept.lse,
                               .dout = work_.dout,
                               .dq = work_.dq,
                               .dk = dk,
                               .dv = dk + N_ * key},
                              narrow_ != tensor::Narrow::kNone);
}

template <class T, class K>
void TrunkPass<T, K>::backward_head_norm(
    const at::Tensor& weight_E, const T* raw, const T* rstd, int64_t heads, T* g) {
  const int64_t E = shape_.head_dim;
  if (carries(weight_E)) {
    norm_weight_slope(weight_E, g, raw, rstd, N_ * heads, E);
  }
  const at::Tensor w_E = in_type<T>(weight_E);
  tensor::share_out(N_ * heads, kRowsPerTask, [&](int64_t begin, int64_t end) {
    nn::rms_norm_backward_rows(g + begin * E,
                               raw + begin * E,
                               w_E.const_data_ptr<T>(),
                               rstd + begin,
                               end - begin,
                               E,
                               g + begin * E);
  });
}

template <class T, class K>
void TrunkPass<T, K>::backward_projections(int64_t index, Kept& kept) {
  const int64_t D = shape_.width;
  const int64_t E = shape_.head_dim;
  const int64_t query = shape_.heads * E;
  const int64_t key = shape_.kv_heads * E;
  const DecoderLayer& l = layer(index);
  T* const dq = work_.dq;
  T* const dk = dq + N_ * query;
  T* const dv = dk + N_ * key;
  const T* const cos = angles_.cos_NE.const_data_ptr<T>();
  const T* const sin = angles_.sin_NE.const_data_ptr<T>();
  tensor::share_out(N_, kRowsPerTask, [&](int64_t begin, int64_t end) {
    const T* const c = cos + begin * (E / 2);
    const T* const s = sin + begin * (E / 2);
    nn::rotate_rows(dq + begin * query, c, s, T(-1), end - begin, shape_.heads, E);
    nn::rotate_rows(dk + begin * key, c, s, T(-1), end - begin, shape_.kv_heads, E);
  });
  if (shape_.qk_norm) {
    backward_head_norm(l.q_norm, kept.q_raw, kept.rstd_q, shape_.heads, dq);
    backward_head_norm(l.k_norm, kept.k_raw, kept.rstd_k, shape_.kv_heads, dk);
  }
  if (trained(index, kQ) || trained(index, kK) || trained(index, kV)) {
    restore_normed(kept.x, kept.rstd_in, l.input_layernorm, N_);
    parameter_slopes(index, kQ, dq, query, work_.normed, N_, kept);
    parameter_slopes(index, kK, dk, key, work_.normed, N_, kept);
    parameter_slopes(index, kV, dv, key, work_.normed, N_, kept);
  }
  if (index == lowest_ && !carries(l.input_layernorm)) {
    return;  // nobody below asks
  }
  std::array<Sum, 1> sum;
  bool extra = false;
  const auto add = [&](Projection p, const T* g, int64_t width, int64_t offset) {
    const bool narrow = narrows(linear(index, p).weight_OI, /*backward=*/true);
    add_backward(sum[0], index, p, operand(g, N_, width, narrow, offset), N_, extra);
  };
  add(kQ, dq, query, 0);
  add(kK, dk, key, query);
  add(kV, dv, key, query + key);
  product(N_, D, sum, [&](const tensor::Tile<T>& tile) {
    if (extra) {
      add_extra(tile, work_.extra, D);
    }
    put_tile(tile, tile.y[0], work_.dnormed, D);
  });
  backward_norm(l.input_layernorm, kept.x, kept.rstd_in, N_);
}

template <class T, class K>
void TrunkPass<T, K>::backward_norm(const at::Tensor& weight_D,
                                    const K* x,
                                    const T* rstd,
                                    int64_t rows) {
  const int64_t D = shape_.width;
  const T* const g = work_.dnormed;
  if (carries(weight_D)) {
    norm_weight_slope(weight_D, g, x, rstd, rows, D);
  }
  const at::Tensor w_D = in_type<T>(weight_D);
  tensor::share_out(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<T> room(static_cast<size_t>(2 * D));
    T* const slope = room.data() + D;
    for (int64_t r = begin; r < end; ++r) {
      const T* const line = kept_numbers(x + r * D, D, room.data());
      nn::rms_norm_backward_rows(
          g + r * D, line, w_D.const_data_ptr<T>(), rstd + r, int64_t{1}, D, slope);
      T* const dx = work_.dx + r * D;
      for (int64_t d = 0; d < D; ++d) {
        dx[d] += slope[d];
      }
    }
  });
}

template <class T, class K>
void TrunkPass<T, K>::restore_normed(const K* x,
                                     const T* rstd,
                                     const at::Tensor& weight_D,
                                     int64_t rows) {
  const int64_t D = shape_.width;
  const at::Tensor w_D = in_type<T>(weight_D);
  const T* const w = w_D.const_data_ptr<T>();
  tensor::share_out(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t d = 0; d < D; ++d) {
        work_.normed[r * D + d] = number<T>(x[r * D + d]) * rstd[r] * w[d];
      }
    }
  });
}

#define ATTUNE_BACKWARD(T, K) template void TrunkPass<T, K>::backward(const at::Tensor&);
ATTUNE_BACKWARD(float, float)
ATTUNE_BACKWARD(float, uint16_t)
ATTUNE_BACKWARD(double, double)
#undef ATTUNE_BACKWARD

}  // namespace attune::model
