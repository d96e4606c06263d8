#include "attune/nn/tree_attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/core/error.h"
#include "attune/nn/attention_kernel.h"
#include "attune/nn/attention_plan.h"

namespace attune::nn {
namespace {

using tensor::Segment;
using tensor::Tree;

struct TreeHolder : torch::CustomClassHolder {
  explicit TreeHolder(std::shared_ptr<const Tree> held) : tree(std::move(held)) {}
  std::shared_ptr<const Tree> tree;
};

template <class T>
AttentionInput<T> input_of(const at::Tensor& q_NHE,
                           const at::Tensor& k_NGE,
                           const at::Tensor& v_NGE) {
  return {.H = q_NHE.size(1),
          .G = k_NGE.size(1),
          .E = q_NHE.size(2),
          .q = q_NHE.const_data_ptr<T>(),
          .k = k_NGE.const_data_ptr<T>(),
          .v = v_NGE.const_data_ptr<T>()};
}

class TreeAttention : public torch::autograd::Function<TreeAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& q_NHE,
                            const at::Tensor& k_NGE,
                            const at::Tensor& v_NGE,
                            const std::shared_ptr<const Tree>& tree) {
    const at::Tensor out_NHE = at::empty_like(q_NHE);
    const at::Tensor lse_NH = at::empty({q_NHE.size(0), q_NHE.size(1)}, q_NHE.options());
    AT_DISPATCH_FLOATING_TYPES(q_NHE.scalar_type(), "tree_attention", [&] {
      const auto in = input_of<scalar_t>(q_NHE, k_NGE, v_NGE);
      const AttentionOutput<scalar_t> to{out_NHE.data_ptr<scalar_t>(), lse_NH.data_ptr<scalar_t>()};
      attend_tree(in, plan_attention(*tree, in.G), to);
    });
    context->save_for_backward({q_NHE, k_NGE, v_NGE, out_NHE, lse_NH});
    context->saved_data["tree"] = c10::IValue::make_capsule(c10::make_intrusive<TreeHolder>(tree));
    return out_NHE;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto holder =
        c10::static_intrusive_pointer_cast<TreeHolder>(context->saved_data["tree"].toCapsule());
    const at::Tensor dout_NHE = grads[0].contiguous();
    const at::Tensor dq_NHE = at::empty_like(saved[0]);
    const at::Tensor dk_NGE = at::zeros_like(saved[1]);
    const at::Tensor dv_NGE = at::zeros_like(saved[2]);
    AT_DISPATCH_FLOATING_TYPES(saved[0].scalar_type(), "tree_attention_backward", [&] {
      const auto in = input_of<scalar_t>(saved[0], saved[1], saved[2]);
      const AttentionSlopes<scalar_t> slopes{.out = saved[3].const_data_ptr<scalar_t>(),
                                             .lse = saved[4].const_data_ptr<scalar_t>(),
                                             .dout = dout_NHE.const_data_ptr<scalar_t>(),
                                             .dq = dq_NHE.data_ptr<scalar_t>(),
                                             .dk = dk_NGE.data_ptr<scalar_t>(),
                                             .dv = dv_NGE.data_ptr<scalar_t>()};
      attend_tree_backward(in, plan_attention(*holder->tree, in.G), slopes);
    });
    return {dq_NHE, dk_NGE, dv_NGE, at::Tensor()};
  }
};

}  // namespace

at::Tensor attention_by_segments(const at::Tensor& q_NHE,
                                 const at::Tensor& k_NGE,
                                 const at::Tensor& v_NGE,
                                 const Tree& tree) {
  const int64_t heads = q_NHE.size(1) / k_NGE.size(1);
  std::vector<at::Tensor> parts;
  for (size_t s = 0; s < tree.segments.size(); ++s) {
    const Segment& own = tree.segments[s];
    std::vector<at::Tensor> k;
    std::vector<at::Tensor> v;
    std::vector<int64_t> chain = tree.ancestors(static_cast<int64_t>(s));
    chain.push_back(static_cast<int64_t>(s));
    for (const int64_t a : chain) {
      const Segment& segment = tree.segments[static_cast<size_t>(a)];
      k.push_back(k_NGE.slice(0, segment.begin, segment.end));
      v.push_back(v_NGE.slice(0, segment.begin, segment.end));
    }
    const auto by_head = [&](const at::Tensor& x_TGE) {
      return x_TGE.repeat_interleave(heads, 1).transpose(0, 1).unsqueeze(0);
    };
    const at::Tensor q = q_NHE.slice(0, own.begin, own.end).transpose(0, 1).unsqueeze(0);
    const at::Tensor keys = at::cat(k);
    const int64_t T = own.end - own.begin;
    const int64_t before = keys.size(0) - T;
    const at::Tensor hidden =
        at::full({T, keys.size(0)}, -std::numeric_limits<double>::infinity(), q.options())
            .triu(before + 1);
    parts.push_back(at::scaled_dot_product_attention(q, by_head(keys), by_head(at::cat(v)), hidden)
                        .squeeze(0)
                        .transpose(0, 1));
  }
  return at::cat(parts);
}

at::Tensor tree_attention(const at::Tensor& q_NHE,
                          const at::Tensor& k_NGE,
                          const at::Tensor& v_NGE,
                          const std::shared_ptr<const Tree>& tree) {
  ensure(q_NHE.size(1) % k_NGE.size(1) == 0,
         "attention: {} query heads over {} key heads",
         q_NHE.size(1),
         k_NGE.size(1));
  ensure(!tree->segments.empty() && tree->segments.back().end == q_NHE.size(0),
         "attention: the tree does not cover the {} tokens",
         q_NHE.size(0));
  if (!q_NHE.is_cpu()) {
    return attention_by_segments(q_NHE, k_NGE, v_NGE, *tree);
  }
  return TreeAttention::apply(q_NHE.contiguous(), k_NGE.contiguous(), v_NGE.contiguous(), tree);
}

}  // namespace attune::nn
