#include "attune/nn/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/core/error.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"

namespace attune::nn {
namespace {

at::Tensor rotated(const at::Tensor& x_NHE, const RotaryAngles& angles, int sign) {
  const int64_t N = x_NHE.size(0);
  const int64_t H = x_NHE.size(1);
  const int64_t E = x_NHE.size(2);
  const at::Tensor y_NHE = x_NHE.clone(at::MemoryFormat::Contiguous);
  AT_DISPATCH_FLOATING_TYPES(x_NHE.scalar_type(), "rotate", [&] {
    scalar_t* y = y_NHE.data_ptr<scalar_t>();
    const scalar_t* cos = angles.cos_NE.const_data_ptr<scalar_t>();
    const scalar_t* sin = angles.sin_NE.const_data_ptr<scalar_t>();
    tensor::share_out(N, 64, [&](int64_t begin, int64_t end) {
      rotate_rows(y + begin * H * E,
                  cos + begin * (E / 2),
                  sin + begin * (E / 2),
                  static_cast<scalar_t>(sign),
                  end - begin,
                  H,
                  E);
    });
  });
  return y_NHE;
}

class Rotate : public torch::autograd::Function<Rotate> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x_NHE,
                            const at::Tensor& cos_NE,
                            const at::Tensor& sin_NE) {
    context->save_for_backward({cos_NE, sin_NE});
    return rotated(x_NHE, {cos_NE, sin_NE}, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    return {rotated(grads[0], {saved[0], saved[1]}, -1), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

template <class T>
std::vector<T> inverse_frequencies(const RotaryShape& shape) {
  ensure(shape.head_dim > 0 && shape.head_dim % 2 == 0, "rotary: odd head size {}", shape.head_dim);
  std::vector<T> frequencies;
  for (int64_t i = 0; i < shape.head_dim; i += 2) {
    const T exponent = static_cast<T>(i) / static_cast<T>(shape.head_dim);
    T f = T(1) / std::pow(static_cast<T>(shape.theta), exponent);
    if (shape.llama3) {
      const Llama3Scaling& s = *shape.llama3;
      const auto positions = static_cast<T>(s.original_max_positions);
      const auto factor = static_cast<T>(s.factor);
      const auto low = static_cast<T>(s.low_freq_factor);
      const auto high = static_cast<T>(s.high_freq_factor);
      const T wavelength = 2 * std::numbers::pi_v<T> / f;
      if (wavelength > positions / low) {
        f /= factor;
      } else if (wavelength > positions / high) {
        const T smooth = (positions / wavelength - low) / (high - low);
        f = (1 - smooth) * f / factor + smooth * f;
      }
    }
    frequencies.push_back(f / static_cast<T>(shape.linear_factor));
  }
  return frequencies;
}

template std::vector<float> inverse_frequencies(const RotaryShape&);
template std::vector<double> inverse_frequencies(const RotaryShape&);

RotaryAngles rotary_angles(const RotaryShape& shape,
                           const at::Tensor& positions_N,
                           at::ScalarType dtype) {
  at::Tensor f_E = at::empty({shape.head_dim / 2}, at::TensorOptions().dtype(dtype));
  AT_DISPATCH_FLOATING_TYPES(dtype, "rotary_angles", [&] {
    const std::vector<scalar_t> frequencies = inverse_frequencies<scalar_t>(shape);
    std::copy(frequencies.begin(), frequencies.end(), f_E.data_ptr<scalar_t>());
  });
  f_E = f_E.to(positions_N.device());
  const at::Tensor angle_NE = positions_N.to(dtype).unsqueeze(1) * f_E.unsqueeze(0);
  return {angle_NE.cos(), angle_NE.sin()};
}

at::Tensor rotate(const at::Tensor& x_NHE, const RotaryAngles& angles) {
  if (x_NHE.is_cpu()) {
    return Rotate::apply(x_NHE, angles.cos_NE, angles.sin_NE);
  }
  const int64_t half = x_NHE.size(2) / 2;
  const at::Tensor cos_N1E = angles.cos_NE.unsqueeze(1);
  const at::Tensor sin_N1E = angles.sin_NE.unsqueeze(1);
  const at::Tensor low = x_NHE.narrow(2, 0, half);
  const at::Tensor high = x_NHE.narrow(2, half, half);
  return at::cat({low * cos_N1E - high * sin_N1E, high * cos_N1E + low * sin_N1E}, 2);
}

}  // namespace attune::nn
