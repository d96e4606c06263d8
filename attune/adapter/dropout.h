#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace attune::adapter {

/// Dropout without a generator: whether x[n, i] is kept is a function of (key, row_keys[n], i), so
/// any packing, any order and any restart draws the same mask. Kept values are divided by the share
/// that is kept. The probability is rounded to a multiple of 1/65536. No autograd: the gradient of
/// x is the same function of the gradient of the result.
///
/// @param x_NI        f32 or f64.
/// @param row_keys_N  int64.
at::Tensor keyed_dropout(const at::Tensor& x_NI,
                         const at::Tensor& row_keys_N,
                         uint64_t key,
                         double probability);

/// The same on raw rows [N, I], in place. T f32 or f64.
template <class T>
void drop_rows(
    T* x, int64_t N, int64_t I, const int64_t* row_keys, uint64_t key, double probability);

}  // namespace attune::adapter
