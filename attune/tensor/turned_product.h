// The gradient of a linear layer's weight: a product over all rows of a batch.
#pragma once

#include <cstdint>

namespace attune::tensor {

/// to_OI += g_MO^T x_MI, on all threads, the same bits for any number of them.
///
/// Strides are in numbers, from row to row.
/// @param narrow   T f32 only: g and x are rounded to bf16; sums stay f32.
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
                        int64_t to_stride);

}  // namespace attune::tensor
