#include "attune/objective/plackett_luce.h"

#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/masked_fill.h>
#include <ATen/ops/zeros_like.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// Whether k is picked from a set with j in it: j is k itself, or worse and of the same prompt.
at::Tensor chosen_from(const TermInput& in) {
  const at::Tensor& rank_S = in.feedback.rank_S;
  const at::Tensor& group_S = in.feedback.group_S;
  const at::Tensor same_SS = group_S.unsqueeze(1) == group_S.unsqueeze(0);
  const at::Tensor worse_SS = rank_S.unsqueeze(1) < rank_S.unsqueeze(0);
  const at::Tensor ranked_S1 = (rank_S >= 0).unsqueeze(1);
  const at::Tensor self_SS = at::eye(rank_S.size(0), rank_S.options().dtype(at::kBool));
  return (same_SS & worse_SS & ranked_S1) | self_SS;
}

}  // namespace

TermOutput loss(const TermInput& in, const PlackettLuceOptions& options) {
  const at::Tensor z_S = options.beta * log_ratio(in);
  const at::Tensor rest_SS =
      z_S.unsqueeze(0).masked_fill(~chosen_from(in), -std::numeric_limits<double>::infinity());
  // What stands alone, unranked or last of its prompt, loses exactly 0.
  const at::Tensor loss_S = at::logsumexp(rest_SS, 1) - z_S;
  const at::Tensor loss_G = at::zeros_like(in.feedback.group_weight_G, z_S.options())
                                .index_add(0, in.feedback.group_S, loss_S);
  return {.loss_I = loss_G, .reward_S = z_S.detach()};
}

}  // namespace attune::objective
