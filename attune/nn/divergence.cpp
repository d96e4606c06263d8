#include "attune/nn/divergence.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/tensor/gemm.h"

namespace attune::nn {
namespace {

// Rows of logits that are alive at once, of both models and a few times over.
constexpr int64_t kTileRows = 64;

// One tile of both models: log p and q.
struct Tile {
  at::Tensor policy_RV;     // log p
  at::Tensor reference_RV;  // log q
  at::Tensor q_RV;

  Tile(const at::Tensor& h_RD,
       const at::Tensor& weight_VD,
       const at::Tensor& reference_RD,
       const at::Tensor& reference_VD)
      : policy_RV(at::log_softmax(tensor::product_nt(h_RD, weight_VD), -1)),
        reference_RV(at::log_softmax(tensor::product_nt(reference_RD, reference_VD), -1)),
        q_RV(reference_RV.exp()) {}

  // Both use up the tile.
  at::Tensor divergence_R() {
    return reference_RV.sub_(policy_RV).mul_(q_RV).sum(-1, /*keepdim=*/false, at::kDouble);
  }
  at::Tensor slope_RV() {
    return policy_RV.exp_().sub_(q_RV);
  }
};

class Divergence : public torch::autograd::Function<Divergence> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& h_CD,
                            const at::Tensor& weight_VD,
                            const at::Tensor& reference_CD,
                            const at::Tensor& reference_VD,
                            bool wants_gradient) {
    const int64_t C = h_CD.size(0);
    const bool one_pass = wants_gradient && !weight_VD.requires_grad();
    const at::Tensor w_VD = weight_VD.to(h_CD.scalar_type());
    const at::Tensor q_VD = reference_VD.to(reference_CD.scalar_type());
    const at::Tensor divergence_C = at::empty({C}, h_CD.options().dtype(at::kDouble));
    const at::Tensor slope_CD = one_pass ? at::empty_like(h_CD) : at::Tensor();
    for (int64_t begin = 0; begin < C; begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, C - begin);
      Tile tile(h_CD.narrow(0, begin, rows), w_VD, reference_CD.narrow(0, begin, rows), q_VD);
      divergence_C.narrow(0, begin, rows).copy_(tile.divergence_R());
      if (one_pass) {
        slope_CD.narrow(0, begin, rows).copy_(tensor::slope_product_nn(tile.slope_RV(), w_VD));
      }
    }
    context->saved_data["one_pass"] = one_pass;
    if (one_pass) {
      context->save_for_backward({slope_CD});
    } else if (wants_gradient) {
      context->save_for_backward({h_CD, weight_VD, reference_CD, q_VD});
    }
    return divergence_C;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor none;
    if (context->saved_data["one_pass"].toBool()) {
      return {saved[0] * grads[0].unsqueeze(1).to(saved[0].scalar_type()), none, none, none, none};
    }
    const at::Tensor& h_CD = saved[0];
    const at::Tensor& weight_VD = saved[1];
    const at::Tensor& reference_CD = saved[2];
    const at::Tensor& q_VD = saved[3];
    const at::Tensor g_C1 = grads[0].unsqueeze(1).to(h_CD.scalar_type());
    const at::Tensor dh_CD = at::empty_like(h_CD);
    const at::Tensor dw_VD = at::zeros_like(weight_VD);
    for (int64_t begin = 0; begin < h_CD.size(0); begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, h_CD.size(0) - begin);
      const at::Tensor h_RD = h_CD.narrow(0, begin, rows);
      Tile tile(h_RD, weight_VD, reference_CD.narrow(0, begin, rows), q_VD);
      const at::Tensor slope_RV = tile.slope_RV().mul_(g_C1.narrow(0, begin, rows));
      dh_CD.narrow(0, begin, rows).copy_(tensor::slope_product_nn(slope_RV, weight_VD));
      dw_VD.addmm_(slope_RV.t(), h_RD);
    }
    return {dh_CD, dw_VD, none, none, none};
  }
};

}  // namespace

at::Tensor divergence(const at::Tensor& h_CD,
                      const at::Tensor& weight_VD,
                      const at::Tensor& reference_CD,
                      const at::Tensor& reference_VD) {
  const bool wants_gradient =
      at::GradMode::is_enabled() && (h_CD.requires_grad() || weight_VD.requires_grad());
  return Divergence::apply(h_CD.contiguous(),
                           weight_VD,
                           reference_CD.detach().contiguous(),
                           reference_VD.detach(),
                           wants_gradient);
}

}  // namespace attune::nn
