#include "attune/nn/logp_head.h"

#include <algorithm>
#include <cmath>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/nn/kernels.h"
#include "attune/tensor/gemm.h"

namespace attune::nn {
namespace {

// Rows of logits that are alive at once; 128 x 49152 in f32 are 25 MB.
constexpr int64_t kTileRows = 128;

// Turns rows of logits into exp(logit - top); fills logp and, for each row, log-sum-exp and the
// sum.
template <class T>
void soften(
    T* logits, const int64_t* label, int64_t rows, int64_t V, double* logp, double* lse, T* sum) {
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T* line = logits + r * V;
      const T top = largest(line, V);
      const auto own = static_cast<double>(line[label[r]]);
      sum[r] = exp_shifted(line, top, V);
      lse[r] = static_cast<double>(top) + std::log(static_cast<double>(sum[r]));
      logp[r] = own - lse[r];
    }
  });
}

class LabelLogps : public torch::autograd::Function<LabelLogps> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& h_CD,
                            const at::Tensor& weight_VD,
                            const at::Tensor& label_C,
                            bool wants_gradient,
                            at::Tensor* concentration_C) {
    const int64_t C = h_CD.size(0);
    const int64_t V = weight_VD.size(0);
    const bool trained = weight_VD.requires_grad();
    const bool one_pass = wants_gradient && !trained;
    const at::Tensor w_VD = weight_VD.to(h_CD.scalar_type());
    const at::Tensor logp_C = at::empty({C}, h_CD.options().dtype(at::kDouble));
    const at::Tensor lse_C = at::empty_like(logp_C);
    const at::Tensor slope_CD = one_pass ? at::empty_like(h_CD) : at::Tensor();
    for (int64_t begin = 0; begin < C; begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, C - begin);
      const at::Tensor tile_V = tensor::product_nt(h_CD.narrow(0, begin, rows), w_VD);
      const at::Tensor sum_R = at::empty({rows, 1}, h_CD.options());
      AT_DISPATCH_FLOATING_TYPES(h_CD.scalar_type(), "label_logps", [&] {
        soften(tile_V.data_ptr<scalar_t>(),
               label_C.const_data_ptr<int64_t>() + begin,
               rows,
               V,
               logp_C.data_ptr<double>() + begin,
               lse_C.data_ptr<double>() + begin,
               sum_R.data_ptr<scalar_t>());
      });
      if (concentration_C != nullptr) {
        // The tile holds exp(logit - top), so that no square overflows.
        concentration_C->narrow(0, begin, rows)
            .copy_(tile_V.square().sum(-1).to(at::kDouble).log() -
                   2 * sum_R.squeeze(1).to(at::kDouble).log());
      }
      if (one_pass) {
        at::Tensor slope_RD = slope_CD.narrow(0, begin, rows);
        slope_RD.copy_(w_VD.index_select(0, label_C.narrow(0, begin, rows)));
        slope_RD.sub_(tensor::slope_product_nn(tile_V, w_VD).div_(sum_R));
      }
    }
    context->saved_data["one_pass"] = one_pass;
    if (one_pass) {
      context->save_for_backward({slope_CD});
    } else if (wants_gradient) {
      context->save_for_backward({h_CD, weight_VD, label_C, lse_C});
    }
    return logp_C;
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
    const at::Tensor& label_C = saved[2];
    const at::Tensor g_C = grads[0].to(h_CD.scalar_type()).contiguous();
    const at::Tensor lse_C = saved[3].to(h_CD.scalar_type());
    const at::Tensor dh_CD = at::empty_like(h_CD);
    const at::Tensor dw_VD = at::zeros_like(weight_VD);
    const int64_t C = h_CD.size(0);
    const int64_t V = weight_VD.size(0);
    for (int64_t begin = 0; begin < C; begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, C - begin);
      const at::Tensor h_RD = h_CD.narrow(0, begin, rows);
      const at::Tensor tile_V = tensor::product_nt(h_RD, weight_VD);
      AT_DISPATCH_FLOATING_TYPES(h_CD.scalar_type(), "label_logps_backward", [&] {
        scalar_t* p = tile_V.data_ptr<scalar_t>();
        const scalar_t* lse = lse_C.const_data_ptr<scalar_t>() + begin;
        const scalar_t* g = g_C.const_data_ptr<scalar_t>() + begin;
        const int64_t* label = label_C.const_data_ptr<int64_t>() + begin;
        at::parallel_for(0, rows, 1, [&](int64_t first, int64_t last) {
          for (int64_t r = first; r < last; ++r) {
            scalar_t* line = p + r * V;
            exp_shifted(line, lse[r], V);
            for (int64_t v = 0; v < V; ++v) {
              line[v] *= -g[r];
            }
            line[label[r]] += g[r];
          }
        });
      });
      dh_CD.narrow(0, begin, rows).copy_(tensor::slope_product_nn(tile_V, weight_VD));
      dw_VD.addmm_(tile_V.t(), h_RD);
    }
    return {dh_CD, dw_VD, none, none, none};
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
  if (concentration) {
    out.concentration_C = at::empty({h_CD.size(0)}, h_CD.options().dtype(at::kDouble));
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
