// The gate of a feed-forward and its slopes, one number at a time, in a form that compilers make
// vectors of.
#pragma once

#include "attune/nn/exp.h"

namespace attune::nn {

/// silu(gate) * up
template <class T>
[[gnu::always_inline]] inline T gated(T gate, T up) {
  return gate * (T(1) / (T(1) + exp_of(-gate))) * up;
}

/// The gradients of gate and up, for g that of the result.
template <class T>
[[gnu::always_inline]] inline void gated_backward(T g, T gate, T up, T& dgate, T& dup) {
  const T s = T(1) / (T(1) + exp_of(-gate));
  dup = g * gate * s;
  dgate = g * up * s * (T(1) + gate * (T(1) - s));
}

}  // namespace attune::nn
