#include "attune/model/inference.h"

#include <array>
#include <span>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include "attune/core/error.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"
#include "attune/tensor/thin.h"
#include "attune/tensor/tiles.h"

namespace attune::model {
namespace {

constexpr int64_t kNumbersPerTask = 4096;

at::Tensor numbers(int64_t rows, int64_t columns) {
  return at::empty({rows, columns}, at::kFloat);
}

float* data(const at::Tensor& t) {
  return t.data_ptr<float>();
}

tensor::Rows rows_of(const at::Tensor& t) {
  return {.data = t.const_data_ptr(), .dtype = t.scalar_type(), .stride = t.stride(0)};
}

// A linear layer and where its result goes or is added.
struct Target {
  const adapter::Linear* linear = nullptr;
  at::Tensor y_NO;
  bool add = false;
};

class Pass {
 public:
  Pass(const Decoder& model, int64_t N, bool adapters, InferenceRows rows)
      : model_(model), shape_(model.shape()), N_(N), adapters_(adapters), rows_(rows) {}

  at::Tensor run(const at::Tensor& tokens_N, const at::Tensor& positions_N, Attention& attention);

 private:
  void layer(int64_t index, const nn::RotaryAngles& angles, Attention& attention);
  void norm(const at::Tensor& x_ND, const at::Tensor& weight_D, const at::Tensor& y_ND);
  void norm_heads(const at::Tensor& x, const at::Tensor& weight_E, int64_t count);
  void rotate(const at::Tensor& x, const nn::RotaryAngles& angles, int64_t count);
  void project(const at::Tensor& x_NI, std::span<const Target> targets);
  void project_few(const at::Tensor& x_NI, std::span<const Target> targets);
  void project_many(const at::Tensor& x_NI, const Target& target);
  /// The layer's adapter, or null.
  [[nodiscard]] const adapter::Lora* lora_of(const Target& target) const {
    return adapters_ && target.linear->lora ? &*target.linear->lora : nullptr;
  }

  const Decoder& model_;
  const DecoderShape& shape_;
  int64_t N_;
  bool adapters_;
  InferenceRows rows_;
  at::Tensor x_ND_;       // the residual stream
  at::Tensor normed_ND_;  // what a product reads
  at::Tensor q_, k_, v_;  // [N, heads * E]
  at::Tensor gate_NF_, up_NF_;
  at::Tensor rstd_;
};

at::Tensor Pass::run(const at::Tensor& tokens_N,
                     const at::Tensor& positions_N,
                     Attention& attention) {
  x_ND_ = at::embedding(model_.embedding(), tokens_N).to(at::kFloat).contiguous();
  normed_ND_ = numbers(N_, shape_.width);
  q_ = numbers(N_, shape_.heads * shape_.head_dim);
  k_ = numbers(N_, shape_.kv_heads * shape_.head_dim);
  v_ = numbers(N_, shape_.kv_heads * shape_.head_dim);
  gate_NF_ = numbers(N_, shape_.feed_forward);
  up_NF_ = numbers(N_, shape_.feed_forward);
  rstd_ = numbers(N_, shape_.heads);
  const nn::RotaryAngles angles = nn::rotary_angles(shape_.rotary, positions_N, at::kFloat);
  for (int64_t i = 0; i < shape_.layers; ++i) {
    layer(i, angles, attention);
  }
  norm(x_ND_, model_.norm(), normed_ND_);
  return normed_ND_;
}

void Pass::layer(int64_t index, const nn::RotaryAngles& angles, Attention& attention) {
  const DecoderLayer& weights = model_.layers()[static_cast<size_t>(index)];
  norm(x_ND_, weights.input_layernorm, normed_ND_);
  project(
      normed_ND_,
      std::array{
          Target{&weights.q_proj, q_}, Target{&weights.k_proj, k_}, Target{&weights.v_proj, v_}});
  if (shape_.qk_norm) {
    norm_heads(q_, weights.q_norm, shape_.heads);
    norm_heads(k_, weights.k_norm, shape_.kv_heads);
  }
  rotate(q_, angles, shape_.heads);
  rotate(k_, angles, shape_.kv_heads);
  const auto heads = [&](const at::Tensor& t, int64_t count) {
    return t.view({N_, count, shape_.head_dim});
  };
  const at::Tensor mixed_NHE = attention.attend(
      index, heads(q_, shape_.heads), heads(k_, shape_.kv_heads), heads(v_, shape_.kv_heads));
  project(mixed_NHE.reshape({N_, shape_.heads * shape_.head_dim}),
          std::array{Target{&weights.o_proj, x_ND_, /*add=*/true}});

  norm(x_ND_, weights.post_attention_layernorm, normed_ND_);
  project(normed_ND_,
          std::array{Target{&weights.gate_proj, gate_NF_}, Target{&weights.up_proj, up_NF_}});
  float* const gate = data(gate_NF_);
  const float* const up = data(up_NF_);
  tensor::share_out(gate_NF_.numel(), kNumbersPerTask, [&](int64_t begin, int64_t end) {
    nn::swiglu(gate + begin, up + begin, end - begin, gate + begin);
  });
  project(gate_NF_, std::array{Target{&weights.down_proj, x_ND_, /*add=*/true}});
}

void Pass::norm(const at::Tensor& x_ND, const at::Tensor& weight_D, const at::Tensor& y_ND) {
  const int64_t D = shape_.width;
  const float* const x = data(x_ND);
  const float* const w = weight_D.const_data_ptr<float>();
  float* const y = data(y_ND);
  float* const rstd = data(rstd_);
  tensor::share_out(N_, 1 + 4 * kNumbersPerTask / D, [&](int64_t begin, int64_t end) {
    nn::rms_norm_rows(
        x + begin * D, w, shape_.norm_eps, end - begin, D, y + begin * D, rstd + begin);
  });
}

void Pass::norm_heads(const at::Tensor& x, const at::Tensor& weight_E, int64_t count) {
  nn::rms_norm_rows(data(x),
                    weight_E.const_data_ptr<float>(),
                    shape_.norm_eps,
                    N_ * count,
                    shape_.head_dim,
                    data(x),
                    data(rstd_));
}

void Pass::rotate(const at::Tensor& x, const nn::RotaryAngles& angles, int64_t count) {
  const int64_t E = shape_.head_dim;
  const float* const cos = angles.cos_NE.const_data_ptr<float>();
  const float* const sin = angles.sin_NE.const_data_ptr<float>();
  float* const numbers = data(x);
  tensor::share_out(N_, 1 + 4 * kNumbersPerTask / (count * E), [&](int64_t begin, int64_t end) {
    nn::rotate_rows(numbers + begin * count * E,
                    cos + begin * (E / 2),
                    sin + begin * (E / 2),
                    1.0F,
                    end - begin,
                    count,
                    E);
  });
}

void Pass::project(const at::Tensor& x_NI, std::span<const Target> targets) {
  if (rows_ == InferenceRows::kFew) {
    project_few(x_NI, targets);
  } else {
    for (const Target& target : targets) {
      project_many(x_NI, target);
    }
  }
  for (const Target& target : targets) {
    if (target.linear->bias_O.defined()) {
      at::Tensor y_NO = target.y_NO;
      y_NO.add_(target.linear->bias_O);
    }
  }
}

void Pass::project_few(const at::Tensor& x_NI, std::span<const Target> targets) {
  const int64_t I = x_NI.size(1);
  std::vector<tensor::ThinProduct> products;
  std::vector<at::Tensor> inner;
  for (const Target& target : targets) {
    products.push_back({.w = rows_of(target.linear->weight_OI),
                        .O = target.y_NO.size(1),
                        .y = data(target.y_NO),
                        .stride = target.y_NO.size(1),
                        .add = target.add});
    if (const adapter::Lora* const lora = lora_of(target)) {
      const int64_t R = lora->a_RI.size(0);
      inner.push_back(numbers(N_, R));
      products.push_back({.w = rows_of(lora->a_RI), .O = R, .y = data(inner.back()), .stride = R});
    }
  }
  tensor::thin_product(rows_of(x_NI), N_, I, products);
  auto next = inner.begin();
  for (const Target& target : targets) {
    if (const adapter::Lora* const lora = lora_of(target)) {
      const tensor::ThinProduct update{.w = rows_of(lora->b_OR),
                                       .O = target.y_NO.size(1),
                                       .y = data(target.y_NO),
                                       .stride = target.y_NO.size(1),
                                       .add = true,
                                       .factor = static_cast<float>(lora->scale())};
      tensor::thin_product(rows_of(*next), N_, next->size(1), {&update, 1});
      ++next;
    }
  }
}

void tile_result(
    int64_t N, std::vector<tensor::Summand> sum, const at::Tensor& y_NO, bool add, float factor) {
  const int64_t O = y_NO.size(1);
  float* const y = data(y_NO);
  const std::array products{std::move(sum)};
  tensor::tile_product<float>(N, O, products, [&](const tensor::Tile<float>& tile) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      const float* const from = tile.y[0] + r * tensor::Tile<float>::kStride;
      float* const to = y + (tile.row + r) * O + tile.column;
      for (int64_t c = 0; c < tile.columns; ++c) {
        to[c] = (add ? to[c] : 0.0F) + factor * from[c];
      }
    }
  });
}

void Pass::project_many(const at::Tensor& x_NI, const Target& target) {
  const auto summand = [](const at::Tensor& x, const at::Tensor& w) {
    return tensor::Summand{.x = rows_of(x), .K = x.size(1), .w = rows_of(w), .transposed = true};
  };
  std::vector<tensor::Summand> sum{summand(x_NI, target.linear->weight_OI)};
  at::Tensor inner_NR;
  if (const adapter::Lora* const lora = lora_of(target)) {
    inner_NR = numbers(N_, lora->a_RI.size(0));
    tile_result(N_,
                {summand(x_NI, lora->a_RI)},
                inner_NR,
                /*add=*/false,
                static_cast<float>(lora->scale()));
    sum.push_back(summand(inner_NR, lora->b_OR));
  }
  tile_result(N_, std::move(sum), target.y_NO, target.add, /*factor=*/1.0F);
}

}  // namespace

at::Tensor infer(const Decoder& model,
                 const at::Tensor& tokens_N,
                 const at::Tensor& positions_N,
                 Attention& attention,
                 bool adapters,
                 InferenceRows rows) {
  const at::NoGradGuard no_grad;
  model.check_tokens(tokens_N);
  return Pass(model, tokens_N.size(0), adapters, rows).run(tokens_N, positions_N, attention);
}

at::Tensor infer_logits(const Decoder& model, const at::Tensor& h_ND) {
  const at::NoGradGuard no_grad;
  const at::Tensor& head_VD = model.head_weight();
  const at::Tensor x_ND = h_ND.contiguous();
  const at::Tensor logits_NV = numbers(x_ND.size(0), head_VD.size(0));
  const tensor::ThinProduct product{
      .w = rows_of(head_VD), .O = head_VD.size(0), .y = data(logits_NV), .stride = head_VD.size(0)};
  tensor::thin_product(rows_of(x_ND), x_ND.size(0), x_ND.size(1), {&product, 1});
  return logits_NV;
}

}  // namespace attune::model
