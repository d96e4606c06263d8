// Products of few rows with whole weights, as a step of writing text needs them.
//
// Such a product reads every weight once and does little with it, so memory sets its pace. A weight
// is read where it stands, in its own type, and serves all rows while it is near.
#pragma once

#include <cstdint>
#include <span>

#include "attune/tensor/tiles.h"

namespace attune::tensor {

/// One of the products that share their x: y_MO = x_MI w_OI^T, or y_MO += factor * x_MI w_OI^T.
struct ThinProduct {
  Rows w = {};  ///< [O, I], f32 or bf16.
  int64_t O = 0;
  float* y = nullptr;   ///< [M, O], row m at y + m * stride.
  int64_t stride = 0;   ///< In numbers.
  bool add = false;     ///< Whether y is added to.
  float factor = 1.0F;  ///< Of the product.
};

/// Computes the products on all threads. x is never rounded, sums are f32. Each number is summed in
/// an order that I alone decides: it depends neither on the other rows nor on the threads.
/// @param x_MI   f32.
/// @param alone  on the calling thread: it is one of several that work.
void thin_product(const Rows& x_MI,
                  int64_t M,
                  int64_t I,
                  std::span<const ThinProduct> products,
                  bool alone = false);

}  // namespace attune::tensor
