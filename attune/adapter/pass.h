#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace attune::adapter {

/// How one forward pass treats the adapters.
struct Pass {
  bool adapters = true;      ///< Off: the base model, which is the reference of its own adapter.
  bool dropout = false;      ///< Drop inputs of the adapters, as in a training step.
  uint64_t dropout_key = 0;  ///< Of this step; the same key gives the same masks.
  /// [N] int64: what is the same for the same token in any packing. Needed with dropout.
  at::Tensor row_keys_N = {};
};

}  // namespace attune::adapter
