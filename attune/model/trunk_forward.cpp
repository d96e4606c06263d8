// The forward pass of the hand-written trunk.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include "attune/adapter/dropout.h"
#include "attune/core/error.h"
#include "attune/model/trunk_pass.h"
#include "attune/nn/attention_kernel.h"
#include "attune/nn/gated_tile.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"

namespace attune::model {
namespace {

constexpr int64_t kRowsPerTask = 32;

// [columns] += bias for each row of a tile.
template <class T>
void add_bias(const tensor::Tile<T>& tile, T* y, const T* bias) {
  for (int64_t r = 0; r < tile.rows && bias != nullptr; ++r) {
    for (int64_t c = 0; c < tile.columns; ++c) {
      y[r * tensor::Tile<T>::kStride + c] += bias[tile.column + c];
    }
  }
}

template <class T>
void add_to(const tensor::Tile<T>& tile, const T* y, T* to, int64_t width) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    T* const line = to + (tile.row + r) * width + tile.column;
    for (int64_t c = 0; c < tile.columns; ++c) {
      line[c] += y[r * tensor::Tile<T>::kStride + c];
    }
  }
}

// `count` numbers into what is kept, rounded if that is narrower.
template <class T, class K>
void keep_numbers(const T* x, int64_t count, K* to) {
  if constexpr (std::is_same_v<T, K>) {
    std::memcpy(to, x, static_cast<size_t>(count) * sizeof(T));
  } else {
    nn::narrow(x, count, to);
  }
}

template <class T>
const T* data_or_null(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr<T>() : nullptr;
}

}  // namespace

template <class T, class K>
at::Tensor TrunkPass<T, K>::forward() {
  Layout counted;
  const TrunkNeeds wanted = needs();
  lay_out<T, K>(counted, shape_, wanted);
  block_ = take_block(counted.used());
  Layout placed(block_.data());
  memory_ = lay_out<T, K>(placed, shape_, wanted);
  work_ = memory_.work;
  angles_ = nn::rotary_angles(shape_.rotary, input_.positions_N, kType);
  plan_ = nn::plan_attention(*input_.tree, shape_.kv_heads);
  last_plan_ = nn::plan_attention(*input_.tree, shape_.kv_heads, rows_U_);
  const at::Tensor x_ND =
      at::embedding(model_.embedding().detach(), input_.tokens_N).to(kType).contiguous();
  std::memcpy(work_.x, x_ND.const_data_ptr(), x_ND.nbytes());
  for (int64_t i = 0; i < shape_.layers; ++i) {
    if (recompute_ && memory_.inputs[static_cast<size_t>(i)] != nullptr) {
      std::copy_n(work_.x, N_ * shape_.width, memory_.inputs[static_cast<size_t>(i)]);
    }
    forward_layer(i, slot(i));
  }
  const at::Tensor z_UD = at::empty({U_, shape_.width}, x_ND.options());
  std::copy_n(work_.x, U_ * shape_.width, memory_.last_UD);
  const at::Tensor norm_D = in_type<T>(model_.norm());
  T* const z = z_UD.data_ptr<T>();
  tensor::share_out(U_, kRowsPerTask, [&](int64_t begin, int64_t end) {
    nn::rms_norm_rows(memory_.last_UD + begin * shape_.width,
                      norm_D.const_data_ptr<T>(),
                      shape_.norm_eps,
                      end - begin,
                      shape_.width,
                      z + begin * shape_.width,
                      memory_.rstd_last + begin);
  });
  return z_UD;
}

template <class T, class K>
void TrunkPass<T, K>::forward_layer(int64_t index, Kept& kept) {
  norm_rows(work_.x, layer(index).input_layernorm, N_, kept.rstd_in, kept.x);
  project(index, kept);
  const nn::AttentionInput<T> in{.H = shape_.heads,
                                 .G = shape_.kv_heads,
                                 .E = shape_.head_dim,
                                 .q = kept.q,
                                 .k = kept.k,
                                 .v = kept.v};
  nn::attend_tree<T>(in, plan_of(index), {.out = kept.out, .lse = kept.lse});
  feed_forward(index, rows_of(index), kept);
}

template <class T, class K>
void TrunkPass<T, K>::norm_rows(
    const T* x, const at::Tensor& weight_D, int64_t rows, T* rstd, K* keep) {
  const int64_t D = shape_.width;
  const at::Tensor w_D = in_type<T>(weight_D);
  const T* const w = w_D.const_data_ptr<T>();
  rounded_ = nullptr;
  tensor::share_out(rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    nn::rms_norm_rows(
        x + begin * D, w, shape_.norm_eps, count, D, work_.normed + begin * D, rstd + begin);
    if (trains_) {
      keep_numbers(x + begin * D, count * D, keep + begin * D);
    }
  });
}

template <class T, class K>
void TrunkPass<T, K>::adapter_inner(
    int64_t index, Projection p, const T* x, int64_t rows, Kept& kept) {
  const TrunkAdapter<T>& a = adapter(index, p);
  if (a.lora == nullptr) {
    return;
  }
  const int64_t I = a.a_RI.size(1);
  if (a.dropout > 0) {
    std::copy_n(x, rows * I, work_.extra);
    adapter::drop_rows(work_.extra, rows, I, row_keys(index, p), a.key, a.dropout);
    x = work_.extra;
  }
  const std::array sum{Sum{{.x = {.data = x, .dtype = kType, .stride = I},
                            .K = I,
                            .w = {.data = a.a_RI.const_data_ptr(), .dtype = kType, .stride = I},
                            .transposed = true}}};
  T* const inner = kept.inner[p];
  product(rows, a.R, sum, [&](const tensor::Tile<T>& tile) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      for (int64_t c = 0; c < tile.columns; ++c) {
        inner[(tile.row + r) * a.R + tile.column + c] =
            static_cast<T>(a.scale) * tile.y[0][r * tensor::Tile<T>::kStride + c];
      }
    }
  });
}

template <class T, class K>
void TrunkPass<T, K>::add_forward(
    Sum& sum, int64_t index, Projection p, const T* x, int64_t rows, Kept& kept) {
  const adapter::Linear& l = linear(index, p);
  const int64_t I = l.weight_OI.size(1);
  // Projections that read the same rows find them rounded.
  const bool narrow = narrows(l.weight_OI, /*backward=*/false);
  const bool found = narrow && x == rounded_;
  sum.push_back(
      {.x = found ? tensor::Rows{.data = work_.narrow, .dtype = at::kBFloat16, .stride = I}
                  : operand(x, rows, I, narrow),
       .K = I,
       .w = {.data = l.weight_OI.const_data_ptr(), .dtype = l.weight_OI.scalar_type(), .stride = I},
       .transposed = true});
  rounded_ = narrow ? x : nullptr;
  const TrunkAdapter<T>& a = adapter(index, p);
  if (a.lora != nullptr) {
    sum.push_back({.x = {.data = kept.inner[p], .dtype = kType, .stride = a.R},
                   .K = a.R,
                   .w = {.data = a.b_OR.const_data_ptr(), .dtype = kType, .stride = a.R},
                   .transposed = true});
  }
}

template <class T, class K>
void TrunkPass<T, K>::project(int64_t index, Kept& kept) {
  const int64_t E = shape_.head_dim;
  struct Part {
    Projection p;
    int64_t heads;
    T* to;
    T* raw;
    T* rstd;
    const at::Tensor& norm;
  };
  const DecoderLayer& l = layer(index);
  const std::array<Part, 3> parts{{{kQ, shape_.heads, kept.q, kept.q_raw, kept.rstd_q, l.q_norm},
                                   {kK, shape_.kv_heads, kept.k, kept.k_raw, kept.rstd_k, l.k_norm},
                                   {kV, shape_.kv_heads, kept.v, nullptr, nullptr, l.k_norm}}};
  const T* const cos = angles_.cos_NE.const_data_ptr<T>();
  const T* const sin = angles_.sin_NE.const_data_ptr<T>();
  for (const Part& part : parts) {
    adapter_inner(index, part.p, work_.normed, N_, kept);
    std::array<Sum, 1> sum;
    add_forward(sum[0], index, part.p, work_.normed, N_, kept);
    const int64_t width = part.heads * E;
    T* const to = part.raw != nullptr ? part.raw : part.to;
    const at::Tensor bias = in_type<T>(linear(index, part.p).bias_O);
    product(N_, width, sum, [&](const tensor::Tile<T>& tile) {
      add_bias(tile, tile.y[0], data_or_null<T>(bias));
      put_tile(tile, tile.y[0], to, width);
    });
    if (part.p == kV) {
      continue;
    }
    const at::Tensor norm = in_type<T>(part.norm);
    tensor::share_out(N_, kRowsPerTask, [&](int64_t begin, int64_t end) {
      const int64_t rows = end - begin;
      if (part.raw != nullptr) {
        nn::rms_norm_rows(part.raw + begin * width,
                          norm.const_data_ptr<T>(),
                          shape_.norm_eps,
                          rows * part.heads,
                          E,
                          part.to + begin * width,
                          part.rstd + begin * part.heads);
      }
      nn::rotate_rows(part.to + begin * width,
                      cos + begin * (E / 2),
                      sin + begin * (E / 2),
                      T(1),
                      rows,
                      part.heads,
                      E);
    });
  }
}

template <class T, class K>
void TrunkPass<T, K>::gather_wanted(Kept& kept) {
  const int64_t D = shape_.width;
  const int64_t query = shape_.heads * shape_.head_dim;
  for (int64_t u = 0; u < U_; ++u) {
    const int64_t n = rows_U_[static_cast<size_t>(u)];
    std::copy_n(kept.out + n * query, query, work_.rows + u * query);
    // Rows ascend, so the place of a wanted row was read before.
    std::memmove(work_.x + u * D, work_.x + n * D, static_cast<size_t>(D) * sizeof(T));
  }
}

template <class T, class K>
void TrunkPass<T, K>::feed_forward(int64_t index, int64_t rows, Kept& kept) {
  const int64_t D = shape_.width;
  const int64_t F = shape_.feed_forward;
  const bool last = index + 1 == shape_.layers;
  if (last) {
    gather_wanted(kept);
  }
  const T* const out = last ? work_.rows : kept.out;
  const auto add_projection = [&](Projection p, const T* x) {
    adapter_inner(index, p, x, rows, kept);
    std::array<Sum, 1> sum;
    add_forward(sum[0], index, p, x, rows, kept);
    const at::Tensor bias = in_type<T>(linear(index, p).bias_O);
    product(rows, D, sum, [&](const tensor::Tile<T>& tile) {
      add_bias(tile, tile.y[0], data_or_null<T>(bias));
      add_to(tile, tile.y[0], work_.x, D);
    });
  };
  add_projection(kO, out);
  norm_rows(work_.x, layer(index).post_attention_layernorm, rows, kept.rstd_post, kept.h);
  adapter_inner(index, kGate, work_.normed, rows, kept);
  adapter_inner(index, kUp, work_.normed, rows, kept);
  std::array<Sum, 2> sums;
  add_forward(sums[0], index, kGate, work_.normed, rows, kept);
  add_forward(sums[1], index, kUp, work_.normed, rows, kept);
  product(rows, F, sums, [&](const tensor::Tile<T>& tile) {
    const int64_t at = tile.row * F + tile.column;
    nn::gate_tile<T, K>({.rows = tile.rows,
                         .columns = tile.columns,
                         .stride = tensor::Tile<T>::kStride,
                         .gate = tile.y[0],
                         .up = tile.y[1],
                         .width = F,
                         .y = work_.y + at,
                         .kept_gate = trains_ ? kept.gate + at : nullptr,
                         .kept_up = trains_ ? kept.up + at : nullptr});
  });
  add_projection(kDown, work_.y);
}

#define ATTUNE_FORWARD(T, K)                      \
  template at::Tensor TrunkPass<T, K>::forward(); \
  template void TrunkPass<T, K>::forward_layer(int64_t, Kept&);
ATTUNE_FORWARD(float, float)
ATTUNE_FORWARD(float, uint16_t)
ATTUNE_FORWARD(double, double)
#undef ATTUNE_FORWARD

}  // namespace attune::model
