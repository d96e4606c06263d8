#include "attune/nn/rms_norm.h"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"

namespace attune::nn {
namespace {

constexpr int64_t kRowsPerTask = 32;

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x,
                            const at::Tensor& weight_D,
                            double eps) {
    const int64_t D = x.size(-1);
    const int64_t N = x.numel() / D;
    const at::Tensor y = at::empty_like(x);
    const at::Tensor rstd_N = at::empty({N}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "rms_norm", [&] {
      const scalar_t* in = x.const_data_ptr<scalar_t>();
      const scalar_t* w = weight_D.const_data_ptr<scalar_t>();
      scalar_t* out = y.data_ptr<scalar_t>();
      scalar_t* rstd = rstd_N.data_ptr<scalar_t>();
      tensor::share_out(N, kRowsPerTask, [&](int64_t begin, int64_t end) {
        rms_norm_rows(in + begin * D, w, eps, end - begin, D, out + begin * D, rstd + begin);
      });
    });
    context->save_for_backward({x, weight_D, rstd_N});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight_D = saved[1];
    const at::Tensor& rstd_N = saved[2];
    const at::Tensor g = grads[0].contiguous();
    const int64_t D = x.size(-1);
    const int64_t N = x.numel() / D;
    at::Tensor dx;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(x);
      AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "rms_norm_backward", [&] {
        const scalar_t* grad = g.const_data_ptr<scalar_t>();
        const scalar_t* in = x.const_data_ptr<scalar_t>();
        const scalar_t* w = weight_D.const_data_ptr<scalar_t>();
        const scalar_t* rstd = rstd_N.const_data_ptr<scalar_t>();
        scalar_t* out = dx.data_ptr<scalar_t>();
        tensor::share_out(N, kRowsPerTask, [&](int64_t begin, int64_t end) {
          rms_norm_backward_rows(
              grad + begin * D, in + begin * D, w, rstd + begin, end - begin, D, out + begin * D);
        });
      });
    }
    at::Tensor dw;
    if (context->needs_input_grad(1)) {
      dw = (g.reshape({N, D}) * x.reshape({N, D}) * rstd_N.unsqueeze(1)).sum(0);
    }
    return {dx, dw, at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight_D, double eps) {
  const at::Tensor w_D = weight_D.to(x.scalar_type());
  if (!x.is_cpu()) {
    return x * at::rsqrt((x * x).mean(-1, /*keepdim=*/true) + eps) * w_D;
  }
  return RmsNorm::apply(x.contiguous(), w_D, eps);
}

}  // namespace attune::nn
