// The gradients of weights, biases and adapters, and what goes on to their inputs.
#include "attune/model/trunk_slopes.h"

#include <algorithm>
#include <array>

#include <ATen/TensorOperators.h>

#include "attune/adapter/dropout.h"
#include "attune/core/error.h"
#include "attune/model/trunk_pass.h"
#include "attune/tensor/parallel.h"
#include "attune/tensor/turned_product.h"

namespace attune::model {

template <class T, class K>
void TrunkPass<T, K>::parameter_slopes(
    int64_t index, Projection p, const T* g, int64_t stride, const T* x, int64_t rows, Kept& kept) {
  const adapter::Linear& l = linear(index, p);
  const int64_t O = l.weight_OI.size(0);
  const int64_t I = l.weight_OI.size(1);
  if (adapter(index, p).lora != nullptr) {
    adapter_slopes(index, p, g, stride, x, rows, kept);
  }
  if (carries(l.weight_OI)) {
    at::Tensor& gradient = gradient_of(l.weight_OI);
    ensure(gradient.is_contiguous(), "the gradient of a weight [{}, {}] has gaps", O, I);
    tensor::add_turned_product<T>({.M = rows,
                                   .O = O,
                                   .I = I,
                                   .g = g,
                                   .g_stride = stride,
                                   .x = x,
                                   .x_stride = I,
                                   .to = gradient.data_ptr<T>(),
                                   .to_stride = I,
                                   .narrow = narrows(l.weight_OI, /*backward=*/true)});
  }
  if (carries(l.bias_O)) {
    gradient_of(l.bias_O).add_(view(g, rows, O, stride).sum(0));
  }
}

template <class T, class K>
void TrunkPass<T, K>::adapter_slopes(
    int64_t index, Projection p, const T* g, int64_t stride, const T* x, int64_t rows, Kept& kept) {
  const TrunkAdapter<T>& a = adapter(index, p);
  const int64_t O = a.b_OR.size(0);
  const int64_t I = a.a_RI.size(1);
  T* const dinner = work_.dinner[p];
  const std::array sum{Sum{{.x = {.data = g, .dtype = kType, .stride = stride},
                            .K = O,
                            .w = {.data = a.b_OR.const_data_ptr(), .dtype = kType, .stride = a.R},
                            .transposed = false}}};
  product(rows, a.R, sum, [&](const tensor::Tile<T>& tile) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      for (int64_t c = 0; c < tile.columns; ++c) {
        dinner[(tile.row + r) * a.R + tile.column + c] =
            static_cast<T>(a.scale) * tile.y[0][r * tensor::Tile<T>::kStride + c];
      }
    }
  });
  if (a.dropout > 0) {
    std::copy_n(x, rows * I, work_.masked);
    adapter::drop_rows(work_.masked, rows, I, row_keys(index, p), a.key, a.dropout);
    x = work_.masked;
  }
  // B's is [R, O] = inner^T g at first, A's is [R, I] = dinner^T x.
  const auto slope = [&](const T* thin, const T* wide, int64_t width, int64_t wide_stride) {
    std::fill_n(work_.slope, a.R * width, T(0));
    tensor::add_turned_product<T>({.M = rows,
                                   .O = a.R,
                                   .I = width,
                                   .g = thin,
                                   .g_stride = a.R,
                                   .x = wide,
                                   .x_stride = wide_stride,
                                   .to = work_.slope,
                                   .to_stride = width});
    return view(work_.slope, a.R, width, width);
  };
  gradient_of(a.lora->b_OR).add_(slope(kept.inner[p], g, O, stride).t());
  gradient_of(a.lora->a_RI).add_(slope(dinner, x, I, I));
}

template <class T, class K>
void TrunkPass<T, K>::add_backward(
    Sum& sum, int64_t index, Projection p, const tensor::Rows& g, int64_t rows, bool& extra) {
  const adapter::Linear& l = linear(index, p);
  const int64_t O = l.weight_OI.size(0);
  const int64_t I = l.weight_OI.size(1);
  sum.push_back(
      {.x = g,
       .K = O,
       .w = {.data = l.weight_OI.const_data_ptr(), .dtype = l.weight_OI.scalar_type(), .stride = I},
       .transposed = false});
  const TrunkAdapter<T>& a = adapter(index, p);
  if (a.lora == nullptr) {
    return;
  }
  const tensor::Summand update{.x = {.data = work_.dinner[p], .dtype = kType, .stride = a.R},
                               .K = a.R,
                               .w = {.data = a.a_RI.const_data_ptr(), .dtype = kType, .stride = I},
                               .transposed = false};
  if (a.dropout == 0) {
    sum.push_back(update);
    return;
  }
  const std::array alone{Sum{update}};
  product(rows, I, alone, [&](const tensor::Tile<T>& tile) {
    put_tile(tile, tile.y[0], work_.masked, I);
  });
  adapter::drop_rows(work_.masked, rows, I, row_keys(index, p), a.key, a.dropout);
  if (!extra) {
    std::fill_n(work_.extra, rows * I, T(0));
    extra = true;
  }
  tensor::share_out(rows * I, int64_t{32768}, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      work_.extra[i] += work_.masked[i];
    }
  });
}

#define ATTUNE_SLOPES(T, K)                                              \
  template void TrunkPass<T, K>::parameter_slopes(                       \
      int64_t, Projection, const T*, int64_t, const T*, int64_t, Kept&); \
  template void TrunkPass<T, K>::add_backward(                           \
      Sum&, int64_t, Projection, const tensor::Rows&, int64_t, bool&);
ATTUNE_SLOPES(float, float)
ATTUNE_SLOPES(float, uint16_t)
ATTUNE_SLOPES(double, double)
#undef ATTUNE_SLOPES

}  // namespace attune::model
