#include "attune/model/trunk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/core/error.h"
#include "attune/model/decoder.h"
#include "attune/model/trunk_pass.h"

namespace attune::model {
namespace {

struct PassHolder : torch::CustomClassHolder {
  explicit PassHolder(std::unique_ptr<AnyTrunkPass> held) : pass(std::move(held)) {}
  std::unique_ptr<AnyTrunkPass> pass;
};

// `anchor` is a number that carries a gradient, so that the node is reached; it gets none.
class TrunkNode : public torch::autograd::Function<TrunkNode> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& /*anchor*/,
                            std::unique_ptr<AnyTrunkPass>* pass) {
    at::Tensor rows_UD = (*pass)->forward();
    context->saved_data["pass"] =
        c10::IValue::make_capsule(c10::make_intrusive<PassHolder>(std::move(*pass)));
    return rows_UD;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto holder =
        c10::static_intrusive_pointer_cast<PassHolder>(context->saved_data["pass"].toCapsule());
    ensure(holder->pass != nullptr, "the trunk's backward pass runs once");
    holder->pass->backward(grads[0]);
    holder->pass.reset();  // its block is free for the next batch
    return {at::Tensor(), at::Tensor()};
  }
};

// The wanted rows, each once and ascending, and where each of row_C is among them.
struct Wanted {
  std::vector<int64_t> rows_U;
  at::Tensor place_C;
};

Wanted wanted_rows(const at::Tensor& row_C) {
  const at::Tensor rows = row_C.contiguous();
  const auto* const row = rows.const_data_ptr<int64_t>();
  const int64_t C = rows.size(0);
  Wanted wanted{.rows_U = {row, row + C}, .place_C = at::empty_like(rows)};
  std::vector<int64_t>& unique = wanted.rows_U;
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  auto* const place = wanted.place_C.data_ptr<int64_t>();
  for (int64_t c = 0; c < C; ++c) {
    place[c] = std::lower_bound(unique.begin(), unique.end(), row[c]) - unique.begin();
  }
  return wanted;
}

bool has_trained(const Decoder& model, const adapter::Pass& pass) {
  const auto& layers = model.layers();
  return carries(model.embedding()) || carries(model.norm()) ||
         std::any_of(layers.begin(), layers.end(), [&](const DecoderLayer& layer) {
           return any_trained(layer, pass.adapters);
         });
}

}  // namespace

at::Tensor trunk_rows(const Decoder& model,
                      const TrunkInput& input,
                      const adapter::Pass& pass,
                      bool recompute) {
  ensure(!input.tree->segments.empty() && input.tree->segments.back().end == input.tokens_N.size(0),
         "trunk: the tree does not cover the {} tokens",
         input.tokens_N.size(0));
  Wanted wanted = wanted_rows(input.row_C);
  const bool trains = at::GradMode::is_enabled() && has_trained(model, pass);
  auto made = make_trunk_pass(model, input, pass, std::move(wanted.rows_U), recompute, trains);
  if (!trains) {
    const at::NoGradGuard no_grad;
    return made->forward().index_select(0, wanted.place_C);
  }
  at::Tensor anchor = at::zeros({1});
  anchor.set_requires_grad(true);
  return TrunkNode::apply(anchor, &made).index_select(0, wanted.place_C);
}

}  // namespace attune::model
