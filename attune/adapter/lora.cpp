#include "attune/adapter/lora.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/adapter/dropout.h"
#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/nn/linear.h"
#include "attune/tensor/convert.h"
#include "attune/tensor/gemm.h"

namespace attune::adapter {
namespace {

// One node for base product and update: keeps x and the [N, R] inner product, nothing else.
class LoraProduct : public torch::autograd::Function<LoraProduct> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x_NI,
                            const at::Tensor& weight_OI,
                            const at::Tensor& a_RI,
                            const at::Tensor& b_OR,
                            const std::optional<at::Tensor>& row_keys,
                            double scale,
                            double dropout,
                            int64_t key) {
    const at::Tensor row_keys_N = row_keys.value_or(at::Tensor());
    const at::Tensor dropped_NI =
        keyed_dropout(x_NI, row_keys_N, static_cast<uint64_t>(key), dropout);
    const at::Tensor inner_NR = at::mm(dropped_NI, a_RI.t());
    at::Tensor y_NO = tensor::product_nt(x_NI, weight_OI);
    y_NO.addmm_(inner_NR, b_OR.t(), /*beta=*/1, /*alpha=*/scale);
    context->save_for_backward({x_NI, weight_OI, a_RI, b_OR, row_keys_N, inner_NR});
    context->saved_data["scale"] = scale;
    context->saved_data["dropout"] = dropout;
    context->saved_data["key"] = key;
    return y_NO;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x_NI = saved[0];
    const at::Tensor& weight_OI = saved[1];
    const at::Tensor& a_RI = saved[2];
    const at::Tensor& b_OR = saved[3];
    const at::Tensor& row_keys_N = saved[4];
    const at::Tensor& inner_NR = saved[5];
    const double scale = context->saved_data["scale"].toDouble();
    const double dropout = context->saved_data["dropout"].toDouble();
    const auto key = static_cast<uint64_t>(context->saved_data["key"].toInt());
    const at::Tensor g_NO = grads[0].contiguous();

    const at::Tensor dinner_NR = at::mm(g_NO, b_OR).mul_(scale);
    const at::Tensor da_RI = at::mm(dinner_NR.t(), keyed_dropout(x_NI, row_keys_N, key, dropout));
    const at::Tensor db_OR = at::mm(g_NO.t(), inner_NR).mul_(scale);
    at::Tensor dx_NI;
    if (context->needs_input_grad(0)) {
      dx_NI = tensor::slope_product_nn(g_NO, weight_OI);
      dx_NI.add_(keyed_dropout(at::mm(dinner_NR, a_RI), row_keys_N, key, dropout));
    }
    const at::Tensor none;
    return {dx_NI, none, da_RI, db_OR, none, none, none, none};
  }
};

}  // namespace

double Lora::scale() const {
  return lora_scale(alpha, a_RI.size(0), rslora);
}

at::Tensor Linear::forward(const at::Tensor& x_NI, const Pass& pass) const {
  if (!lora || !pass.adapters) {
    return nn::linear(x_NI, weight_OI, bias_O);
  }
  const at::Tensor y_NO =
      LoraProduct::apply(x_NI.contiguous(),
                         weight_OI,
                         lora->a_RI.to(x_NI.scalar_type()),
                         lora->b_OR.to(x_NI.scalar_type()),
                         pass.dropout ? std::optional(pass.row_keys_N) : std::nullopt,
                         lora->scale(),
                         pass.dropout ? lora->dropout : 0.0,
                         static_cast<int64_t>(random_word(pass.dropout_key, lora->ordinal)));
  return bias_O.defined() ? y_NO + bias_O : y_NO;
}

at::Tensor Linear::merged_weight() const {
  const at::NoGradGuard no_grad;
  const bool doubles = weight_OI.scalar_type() == at::kDouble;
  const at::Tensor w_OI = weight_OI.to(doubles ? at::kDouble : at::kFloat);
  return lora ? w_OI + lora->scale() * at::mm(lora->b_OR, lora->a_RI) : w_OI;
}

Lora new_lora(const at::Tensor& weight_OI, const AdapterOptions& options, uint64_t key) {
  const int64_t O = weight_OI.size(0);
  const int64_t I = weight_OI.size(1);
  const int64_t R = options.rank;
  check(R <= std::min(O, I),
        "adapter.rank must be 1 to {} for a {} weight, got {}",
        std::min(O, I),
        tensor::shape_text(weight_OI),
        R);
  const auto f32 = at::TensorOptions().dtype(at::kFloat);
  Lora lora{.a_RI = at::empty({R, I}, f32),
            .b_OR = at::zeros({O, R}, f32),
            .alpha = options.alpha,
            .rslora = options.rslora,
            .dropout = options.dropout};
  const double bound = 1.0 / std::sqrt(static_cast<double>(I));
  RandomStream random(key);
  float* a = lora.a_RI.data_ptr<float>();
  for (int64_t i = 0; i < R * I; ++i) {
    a[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  }
  lora.a_RI.set_requires_grad(true);
  lora.b_OR.set_requires_grad(true);
  return lora;
}

double lora_scale(double alpha, int64_t rank, bool rslora) {
  const auto r = static_cast<double>(rank);
  return rslora ? alpha / std::sqrt(r) : alpha / r;
}

}  // namespace attune::adapter
