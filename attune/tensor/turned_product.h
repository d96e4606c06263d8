// The gradient of a linear layer's weight: a product over all rows of a batch.
#pragma once

#include <cstdint>

namespace attune::tensor {

/// to_OI += g_MO^T x_MI. Strides are in numbers, from row to row.
template <class T>
struct TurnedProduct {
  int64_t M = 0;
  int64_t O = 0;
  int64_t I = 0;
  const T* g = nullptr;
  int64_t g_stride = 0;
  const T* x = nullptr;
  int64_t x_stride = 0;
  T* to = nullptr;
  int64_t to_stride = 0;
  bool narrow = false;  ///< T f32 only: g and x are rounded to bf16; sums stay f32.
};

/// On all threads, the same bits for any number of them.
template <class T>
void add_turned_product(const TurnedProduct<T>& p);

}  // namespace attune::tensor
