#pragma once

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// silu(gate) * up, elementwise; keeps its two inputs only.
/// Paper: Shazeer 2020, arXiv:2002.05202, eq. 5 (without the projections).
at::Tensor gated_silu(const at::Tensor& gate_NF, const at::Tensor& up_NF);

}  // namespace attune::nn
