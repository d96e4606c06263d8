#include "attune/nn/logp_head.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/core/error.h"
#include "attune/nn/head_chunks.h"
#include "attune/tensor/gemm.h"

namespace attune::nn {
namespace {

class LabelLogps : public torch::autograd::Function<LabelLogps> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& h_CD,
                            const at::Tensor& weight_VD,
                            const at::Tensor& label_C,
                            bool wants_gradient,
                            at::Tensor* concentration_C) {
    const bool one_pass = wants_gradient && !weight_VD.requires_grad();
    const HeadSums sums = head_sums(h_CD, weight_VD, label_C, one_pass, concentration_C != nullptr);
    if (concentration_C != nullptr) {
      *concentration_C = sums.concentration_C;
    }
    context->saved_data["one_pass"] = one_pass;
    if (one_pass) {
      context->save_for_backward({sums.slope_CD});
    } else if (wants_gradient) {
      context->save_for_backward({h_CD, weight_VD, label_C, sums.lse_C});
    }
    return sums.logp_C;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor none;
    if (context->saved_data["one_pass"].toBool()) {
      return {saved[0] * grads[0].unsqueeze(1).to(saved[0].scalar_type()), none, none, none, none};
    }
    // A parameter's gradient gets its sum where it stands: a vocabulary's is as large as the
    // weight.
    const at::Tensor& weight_VD = saved[1];
    const bool in_place = weight_VD.is_leaf() && weight_VD.requires_grad();
    at::Tensor to_VD = in_place ? weight_VD.grad() : none;
    if (!to_VD.defined()) {
      to_VD = at::zeros_like(weight_VD, at::MemoryFormat::Contiguous).detach();
    }
    ensure(to_VD.is_contiguous() && to_VD.scalar_type() == saved[0].scalar_type(),
           "the head's weight has a gradient of another form than its own");
    const at::Tensor slope_CD =
        head_slopes(saved[0], weight_VD, saved[2], saved[3], grads[0], to_VD);
    if (in_place) {
      weight_VD.mutable_grad() = to_VD;
    }
    return {slope_CD, in_place ? none : to_VD, none, none, none};
  }
};

LabelScores scores(const at::Tensor& h_CD,
                   const at::Tensor& weight_VD,
                   const at::Tensor& label_C,
                   bool concentration) {
  LabelScores out;
  if (!h_CD.is_cpu()) {
    const at::Tensor l_CV = at::log_softmax(tensor::product_nt(h_CD, weight_VD), -1, at::kDouble);
    out.logp_C = l_CV.gather(1, label_C.unsqueeze(1)).squeeze(1);
    if (concentration) {
      out.concentration_C = (2 * l_CV.detach()).logsumexp(-1);
    }
    return out;
  }
  const bool wants_gradient =
      at::GradMode::is_enabled() && (h_CD.requires_grad() || weight_VD.requires_grad());
  out.logp_C = LabelLogps::apply(h_CD.contiguous(),
                                 weight_VD,
                                 label_C.contiguous(),
                                 wants_gradient,
                                 concentration ? &out.concentration_C : nullptr);
  return out;
}

}  // namespace

at::Tensor label_logps(const at::Tensor& h_CD,
                       const at::Tensor& weight_VD,
                       const at::Tensor& label_C) {
  return scores(h_CD, weight_VD, label_C, /*concentration=*/false).logp_C;
}

LabelScores label_scores(const at::Tensor& h_CD,
                         const at::Tensor& weight_VD,
                         const at::Tensor& label_C) {
  return scores(h_CD, weight_VD, label_C, /*concentration=*/true);
}

}  // namespace attune::nn
