// Rotary position embedding, with the angles exactly as Hugging Face's transformers makes them.
#pragma once

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// Llama 3's stretching of the slow frequencies (`rope_type: llama3`).
struct Llama3Scaling {
  double factor = 8.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_max_positions = 8192;
};

/// What decides the angles.
struct RotaryShape {
  int64_t head_dim = 64;  ///< E, even.
  double theta = 10000.0;
  std::optional<Llama3Scaling> llama3 = {};
  double linear_factor = 1.0;  ///< `rope_type: linear`: positions are divided by it.
};

/// The E/2 inverse frequencies, theta^(-2i/E), stretched as the shape says. In f32 every step is
/// rounded as the reference implementation rounds it; in f64 they are exact.
template <class T>
std::vector<T> inverse_frequencies(const RotaryShape& shape);

/// cos and sin of position * frequency.
struct RotaryAngles {
  at::Tensor cos_NE;  ///< [N, E/2]
  at::Tensor sin_NE;  ///< [N, E/2]
};
/// The angles of each row, computed in `dtype` (f32 or f64) throughout, on the positions' device.
RotaryAngles rotary_angles(const RotaryShape& shape,
                           const at::Tensor& positions_N,
                           at::ScalarType dtype);

/// Rotates x_NHE: (low, high) -> (low cos - high sin, high cos + low sin), halves paired.
/// Paper: Su et al. 2021, arXiv:2104.09864, eq. 34.
at::Tensor rotate(const at::Tensor& x_NHE, const RotaryAngles& angles);

}  // namespace attune::nn
