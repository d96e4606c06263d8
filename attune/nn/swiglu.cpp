#include "attune/nn/swiglu.h"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"

namespace attune::nn {
namespace {

constexpr int64_t kNumbersPerTask = 16384;

class GatedSilu : public torch::autograd::Function<GatedSilu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& gate_NF,
                            const at::Tensor& up_NF) {
    context->save_for_backward({gate_NF, up_NF});
    const at::Tensor y_NF = at::empty_like(gate_NF);
    AT_DISPATCH_FLOATING_TYPES(gate_NF.scalar_type(), "gated_silu", [&] {
      const scalar_t* gate = gate_NF.const_data_ptr<scalar_t>();
      const scalar_t* up = up_NF.const_data_ptr<scalar_t>();
      scalar_t* y = y_NF.data_ptr<scalar_t>();
      tensor::share_out(gate_NF.numel(), kNumbersPerTask, [&](int64_t begin, int64_t end) {
        swiglu(gate + begin, up + begin, end - begin, y + begin);
      });
    });
    return y_NF;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor g_NF = grads[0].contiguous();
    const at::Tensor dgate_NF = at::empty_like(saved[0]);
    const at::Tensor dup_NF = at::empty_like(saved[1]);
    AT_DISPATCH_FLOATING_TYPES(g_NF.scalar_type(), "gated_silu_backward", [&] {
      const scalar_t* g = g_NF.const_data_ptr<scalar_t>();
      const scalar_t* gate = saved[0].const_data_ptr<scalar_t>();
      const scalar_t* up = saved[1].const_data_ptr<scalar_t>();
      scalar_t* dgate = dgate_NF.data_ptr<scalar_t>();
      scalar_t* dup = dup_NF.data_ptr<scalar_t>();
      tensor::share_out(g_NF.numel(), kNumbersPerTask, [&](int64_t begin, int64_t end) {
        swiglu_backward(
            g + begin, gate + begin, up + begin, end - begin, dgate + begin, dup + begin);
      });
    });
    return {dgate_NF, dup_NF};
  }
};

}  // namespace

at::Tensor gated_silu(const at::Tensor& gate_NF, const at::Tensor& up_NF) {
  if (!gate_NF.is_cpu()) {
    return at::silu(gate_NF) * up_NF;
  }
  return GatedSilu::apply(gate_NF.contiguous(), up_NF.contiguous());
}

}  // namespace attune::nn
