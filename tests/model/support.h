// Tiny models for the tests that need a whole decoder.
#pragma once

#include <memory>

#include "attune/model/checkpoint.h"
#include "attune/model/decoder.h"

#include "tests/tensor/golden.h"

namespace attune::tests {

/// A model of tests/golden/models, or of any folder, with all weights in `dtype` (f32 or f64).
inline std::unique_ptr<model::Decoder> load(const std::filesystem::path& folder,
                                            at::ScalarType dtype = at::kFloat) {
  auto model = model::load_model(model::open_model(folder), at::kFloat);
  model->each_weight([&](const std::string&, at::Tensor& weight) { weight = weight.to(dtype); });
  return model;
}

/// 0 .. count-1.
inline at::Tensor count_up(int64_t count) {
  at::Tensor numbers = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) {
    numbers.data_ptr<int64_t>()[i] = i;
  }
  return numbers;
}

/// Hidden rows of one plain text.
inline at::Tensor hidden(const model::Decoder& model,
                         const at::Tensor& ids_T,
                         const adapter::Pass& pass = {}) {
  auto tree = std::make_shared<tensor::Tree>();
  tree->segments.push_back({0, ids_T.size(0), -1});
  model::TreeAttention attention(tree);
  return model.forward(ids_T, count_up(ids_T.size(0)), attention, pass);
}

/// log p(ids[t] | ids[<t]) for t = 1 .. T-1.
inline at::Tensor text_logps(const model::Decoder& model,
                             const at::Tensor& ids_T,
                             const adapter::Pass& pass = {}) {
  const int64_t T = ids_T.size(0);
  return model.label_logps(hidden(model, ids_T, pass).slice(0, 0, T - 1), ids_T.slice(0, 1, T));
}

}  // namespace attune::tests
