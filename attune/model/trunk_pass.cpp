#include "attune/model/trunk_pass.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"

namespace attune::model {
namespace {

int64_t lowest_trained(const Decoder& model) {
  if (model.embedding().requires_grad()) {
    return -1;
  }
  const auto& layers = model.layers();
  const auto first = std::find_if(layers.begin(), layers.end(), [](const DecoderLayer& layer) {
    return any_trained(layer, /*adapters=*/true);
  });
  return first - layers.begin();
}

}  // namespace

template <class T, class K>
TrunkPass<T, K>::TrunkPass(const Decoder& model,
                           const TrunkInput& input,
                           const adapter::Pass& pass,
                           std::vector<int64_t> rows_U,
                           bool recompute,
                           bool trains)
    : model_(model),
      shape_(model.shape()),
      input_(input),
      pass_(pass),
      rows_U_(std::move(rows_U)),
      recompute_(recompute && trains),
      trains_(trains),
      N_(input.tokens_N.size(0)),
      U_(static_cast<int64_t>(rows_U_.size())),
      lowest_(lowest_trained(model)),
      narrow_(std::is_same_v<T, float> ? tensor::narrow_products() : tensor::Narrow::kNone) {
  const auto& layers = model.layers();
  adapters_.resize(layers.size());
  for (size_t i = 0; i < layers.size() && pass.adapters; ++i) {
    const auto linears = projections(layers[i]);
    for (size_t p = 0; p < linears.size(); ++p) {
      if (linears[p]->lora) {
        const adapter::Lora& lora = *linears[p]->lora;
        adapters_[i][p] = {.lora = &lora,
                           .a_RI = lora.a_RI.detach().to(kType).contiguous(),
                           .b_OR = lora.b_OR.detach().to(kType).contiguous(),
                           .R = lora.a_RI.size(0),
                           .scale = lora.scale(),
                           .dropout = pass.dropout ? lora.dropout : 0.0,
                           .key = random_word(pass.dropout_key, lora.ordinal)};
      }
    }
  }
  if (pass.dropout && pass.row_keys_N.defined()) {
    const auto* keys = pass.row_keys_N.const_data_ptr<int64_t>();
    keys_N_.assign(keys, keys + N_);
    std::transform(rows_U_.begin(), rows_U_.end(), std::back_inserter(keys_U_), [&](int64_t row) {
      return keys_N_[static_cast<size_t>(row)];
    });
  }
}

template <class T, class K>
TrunkPass<T, K>::~TrunkPass() {
  give_block(std::move(block_));
}

template <class T, class K>
TrunkNeeds TrunkPass<T, K>::needs() const {
  TrunkNeeds needs{.N = N_,
                   .U = U_,
                   .lowest = lowest_,
                   .trains = trains_,
                   .recompute = recompute_,
                   .narrow = narrow_ != tensor::Narrow::kNone,
                   .rounds = kRounds,
                   .wide_gate = !tensor::may_narrow(shape_.feed_forward, shape_.width)};
  for (int64_t i = 0; i < shape_.layers; ++i) {
    auto& ranks = needs.ranks.emplace_back();
    for (size_t p = 0; p < kProjections; ++p) {
      const TrunkAdapter<T>& a = adapter(i, static_cast<Projection>(p));
      ranks[p] = a.R;
      needs.dropout = needs.dropout || a.dropout > 0;
    }
    needs.wide_gate = needs.wide_gate || trained(i, kGate) || trained(i, kUp);
  }
  return needs;
}

template <class T, class K>
KeptLayer<T, K>& TrunkPass<T, K>::slot(int64_t index) {
  const auto first =
      static_cast<int64_t>(shape_.layers) - static_cast<int64_t>(memory_.slots.size());
  return memory_.slots[static_cast<size_t>(
      memory_.slots.size() == 1 ? 0 : std::max<int64_t>(index - first, 0))];
}

template <class T, class K>
int64_t TrunkPass<T, K>::rows_of(int64_t index) const {
  return index + 1 == shape_.layers ? U_ : N_;
}

template <class T, class K>
const int64_t* TrunkPass<T, K>::row_keys(int64_t index, Projection p) const {
  ensure(!keys_N_.empty(), "dropout without row keys");
  return p >= kO && index + 1 == shape_.layers ? keys_U_.data() : keys_N_.data();
}

template <class T, class K>
const TrunkAdapter<T>& TrunkPass<T, K>::adapter(int64_t index, Projection p) const {
  return adapters_[static_cast<size_t>(index)][p];
}

template <class T, class K>
const DecoderLayer& TrunkPass<T, K>::layer(int64_t index) const {
  return model_.layers()[static_cast<size_t>(index)];
}

template <class T, class K>
const adapter::Linear& TrunkPass<T, K>::linear(int64_t index, Projection p) const {
  return *projections(layer(index))[p];
}

template <class T, class K>
bool TrunkPass<T, K>::trained(int64_t index, Projection p) const {
  const adapter::Linear& l = linear(index, p);
  return adapter(index, p).lora != nullptr || l.weight_OI.requires_grad() ||
         (l.bias_O.defined() && l.bias_O.requires_grad());
}

template <class T, class K>
bool TrunkPass<T, K>::narrows(const at::Tensor& weight, bool backward) const {
  using tensor::Narrow;
  return (narrow_ == Narrow::kAll || (backward && narrow_ == Narrow::kBackward)) &&
         tensor::may_narrow(weight.size(0), weight.size(1));
}

template <class T, class K>
tensor::Rows TrunkPass<T, K>::operand(
    const T* x, int64_t rows, int64_t width, bool narrow, int64_t offset) {
  if constexpr (std::is_same_v<T, float>) {
    if (narrow) {
      uint16_t* const to = work_.narrow + rows * offset;
      constexpr int64_t kNumbersPerTask = 32768;
      tensor::share_out(rows * width, kNumbersPerTask, [&](int64_t begin, int64_t end) {
        nn::narrow(x + begin, end - begin, to + begin);
      });
      return {.data = to, .dtype = at::kBFloat16, .stride = width};
    }
  }
  return {.data = x, .dtype = kType, .stride = width};
}

template class TrunkPass<float, float>;
template class TrunkPass<float, uint16_t>;
template class TrunkPass<double, double>;

std::unique_ptr<AnyTrunkPass> make_trunk_pass(const Decoder& model,
                                              const TrunkInput& input,
                                              const adapter::Pass& pass,
                                              std::vector<int64_t> rows_U,
                                              bool recompute,
                                              bool trains) {
  const auto made = [&]<class T, class K>(const T&, const K&) -> std::unique_ptr<AnyTrunkPass> {
    return std::make_unique<TrunkPass<T, K>>(
        model, input, pass, std::move(rows_U), recompute, trains);
  };
  if (model.norm().scalar_type() == at::kDouble) {
    return made(double{}, double{});
  }
  const DecoderShape& shape = model.shape();
  const bool rounds = trains && tensor::narrow_products() != tensor::Narrow::kNone &&
                      tensor::may_narrow(shape.feed_forward, shape.width);
  return rounds ? made(float{}, uint16_t{}) : made(float{}, float{});
}

}  // namespace attune::model
