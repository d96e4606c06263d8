// Low-Rank Adaptation of a linear layer.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "attune/adapter/options.h"
#include "attune/adapter/pass.h"

namespace attune::adapter {

/// The trained part of an adapted layer.
struct Lora {
  at::Tensor a_RI;       ///< Carries gradients, f32.
  at::Tensor b_OR;       ///< Carries gradients, f32; zeros in a new adapter.
  double alpha = 1.0;    ///< The update is scaled by alpha / R, or alpha / sqrt(R) with rsLoRA.
  bool rslora = false;   ///< Whether it is rsLoRA.
  double dropout = 0.0;  ///< Chance that an input of the update is dropped, in [0, 1).
  uint64_t ordinal = 0;  ///< Which layer of the model this is: its dropout masks are its own.

  /// The factor of the update.
  [[nodiscard]] double scale() const;
};

/// A linear layer, adapted or not.
struct Linear {
  at::Tensor weight_OI;  ///< Frozen under an adapter; then f32 or bf16.
  at::Tensor bias_O;     ///< Undefined: none.
  std::optional<Lora> lora = {};

  ///   y = x W^T + bias + scale (dropout(x) A^T) B^T
  ///
  /// Paper: Hu et al. 2021, arXiv:2106.09685, section 4.1. Off (`pass.adapters`), the layer is the
  /// base model's. @param x_NI  f32 or f64.
  [[nodiscard]] at::Tensor forward(const at::Tensor& x_NI, const Pass& pass) const;

  /// The weight with the update added: W + scale B A, in f32, or f64 if W is.
  [[nodiscard]] at::Tensor merged_weight() const;
};

/// A new adapter for a [O, I] weight: A uniform in +-1/sqrt(I) (Kaiming with a = sqrt 5, as PEFT),
/// B zero, so that the layer is unchanged. The same key gives the same A.
/// @throws Error if the rank does not fit the weight.
Lora new_lora(const at::Tensor& weight_OI, const AdapterOptions& options, uint64_t key);

/// alpha / rank, or alpha / sqrt(rank) with rsLoRA (Kalajdzievski 2023, arXiv:2312.03732).
double lora_scale(double alpha, int64_t rank, bool rslora);

}  // namespace attune::adapter
