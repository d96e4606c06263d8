#include "attune/nn/linear.h"

#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/tensor/gemm.h"

namespace attune::nn {
namespace {

class LinearProduct : public torch::autograd::Function<LinearProduct> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x_NI,
                            const at::Tensor& weight_OI) {
    context->save_for_backward({weight_OI.requires_grad() ? x_NI : at::Tensor(), weight_OI});
    return tensor::product_nt(x_NI, weight_OI);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor g_NO = grads[0].contiguous();
    at::Tensor dx_NI;
    at::Tensor dw_OI;
    if (context->needs_input_grad(0)) {
      dx_NI = tensor::slope_product_nn(g_NO, saved[1]);
    }
    if (context->needs_input_grad(1)) {
      dw_OI = tensor::slope_product_tn(g_NO, saved[0]);
    }
    return {dx_NI, dw_OI};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x_NI, const at::Tensor& weight_OI, const at::Tensor& bias_O) {
  const at::Tensor y_NO = LinearProduct::apply(x_NI.contiguous(), weight_OI);
  return bias_O.defined() ? y_NO + bias_O : y_NO;
}

}  // namespace attune::nn
