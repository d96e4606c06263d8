#include "attune/model/decoder.h"

#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>

#include "attune/core/error.h"
#include "attune/model/trunk.h"
#include "attune/nn/logp_head.h"
#include "attune/nn/recompute.h"
#include "attune/nn/rms_norm.h"
#include "attune/nn/swiglu.h"
#include "attune/nn/tree_attention.h"
#include "attune/tensor/gemm.h"

namespace attune::model {

at::Tensor TreeAttention::attend(int64_t /*layer*/,
                                 const at::Tensor& q_NHE,
                                 const at::Tensor& k_NGE,
                                 const at::Tensor& v_NGE) {
  return nn::tree_attention(q_NHE, k_NGE, v_NGE, tree_);
}

std::shared_ptr<Attention> Attention::shared() const {
  throw InternalError("this attention cannot run again in the backward pass");
}

std::shared_ptr<Attention> TreeAttention::shared() const {
  return std::make_shared<TreeAttention>(tree_);
}

Decoder::Decoder(DecoderShape shape)
    : shape_(std::move(shape)), layers_(static_cast<size_t>(shape_.layers)) {}

void Decoder::check_tokens(const at::Tensor& tokens_N) const {
  const auto [least, most] = at::aminmax(tokens_N);
  check(least.item<int64_t>() >= 0 && most.item<int64_t>() < shape_.vocabulary,
        "token id {} is beyond the model's vocabulary of {}; is the tokenizer of another model?",
        least.item<int64_t>() < 0 ? least.item<int64_t>() : most.item<int64_t>(),
        shape_.vocabulary);
}

at::Tensor Decoder::forward(const at::Tensor& tokens_N,
                            const at::Tensor& positions_N,
                            Attention& attention,
                            const adapter::Pass& pass,
                            bool recompute) const {
  const at::ScalarType dtype = norm_D_.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  check_tokens(tokens_N);
  at::Tensor h_ND = at::embedding(embed_VD_, tokens_N).to(dtype);
  if (recompute && at::GradMode::is_enabled() && !h_ND.requires_grad()) {
    h_ND.set_requires_grad(true);  // or nothing below the first recomputed layer would be reached
  }
  const nn::RotaryAngles angles = nn::rotary_angles(shape_.rotary, positions_N, dtype);
  const std::shared_ptr<Attention> kept = recompute ? attention.shared() : nullptr;
  for (int64_t i = 0; i < shape_.layers; ++i) {
    h_ND = !recompute ? layer_forward(i, h_ND, angles, attention, pass)
                      : nn::recompute(
                            [this, i, angles, kept, pass](const at::Tensor& x_ND) {
                              return layer_forward(i, x_ND, angles, *kept, pass);
                            },
                            h_ND);
  }
  return nn::rms_norm(h_ND, norm_D_, shape_.norm_eps);
}

at::Tensor Decoder::rows(const at::Tensor& tokens_N,
                         const at::Tensor& positions_N,
                         const std::shared_ptr<const tensor::Tree>& tree,
                         const at::Tensor& row_C,
                         const adapter::Pass& pass,
                         bool recompute) const {
  if (tokens_N.is_cpu() && tensor::hand_written_trunk()) {
    check_tokens(tokens_N);
    return trunk_rows(*this, {tokens_N, positions_N, tree, row_C}, pass, recompute);
  }
  TreeAttention attention(tree);
  return forward(tokens_N, positions_N, attention, pass, recompute).index_select(0, row_C);
}

at::Tensor Decoder::layer_forward(int64_t index,
                                  const at::Tensor& x_ND,
                                  const nn::RotaryAngles& angles,
                                  Attention& attention,
                                  const adapter::Pass& pass) const {
  const DecoderLayer& layer = layers_[static_cast<size_t>(index)];
  const int64_t N = x_ND.size(0);
  const auto heads = [&](const adapter::Linear& projection, const at::Tensor& x, int64_t count) {
    return projection.forward(x, pass).view({N, count, shape_.head_dim});
  };

  const at::Tensor a_ND = nn::rms_norm(x_ND, layer.input_layernorm, shape_.norm_eps);
  at::Tensor q_NHE = heads(layer.q_proj, a_ND, shape_.heads);
  at::Tensor k_NGE = heads(layer.k_proj, a_ND, shape_.kv_heads);
  const at::Tensor v_NGE = heads(layer.v_proj, a_ND, shape_.kv_heads);
  if (shape_.qk_norm) {
    q_NHE = nn::rms_norm(q_NHE, layer.q_norm, shape_.norm_eps);
    k_NGE = nn::rms_norm(k_NGE, layer.k_norm, shape_.norm_eps);
  }
  const at::Tensor mixed_NHE =
      attention.attend(index, nn::rotate(q_NHE, angles), nn::rotate(k_NGE, angles), v_NGE);
  const at::Tensor h_ND =
      x_ND + layer.o_proj.forward(mixed_NHE.reshape({N, shape_.heads * shape_.head_dim}), pass);

  const at::Tensor m_ND = nn::rms_norm(h_ND, layer.post_attention_layernorm, shape_.norm_eps);
  const at::Tensor inner_NF =
      nn::gated_silu(layer.gate_proj.forward(m_ND, pass), layer.up_proj.forward(m_ND, pass));
  return h_ND + layer.down_proj.forward(inner_NF, pass);
}

at::Tensor Decoder::label_logps(const at::Tensor& h_CD, const at::Tensor& label_C) const {
  return nn::label_logps(h_CD, head_weight(), label_C);
}

at::Tensor Decoder::logits(const at::Tensor& h_ND) const {
  return tensor::product_nt(h_ND, head_weight());
}

void Decoder::each_linear(const std::function<void(const std::string&, adapter::Linear&)>& visit) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    DecoderLayer& layer = layers_[i];
    const std::string at = fmt::format("model.layers.{}.", i);
    visit(at + "self_attn.q_proj", layer.q_proj);
    visit(at + "self_attn.k_proj", layer.k_proj);
    visit(at + "self_attn.v_proj", layer.v_proj);
    visit(at + "self_attn.o_proj", layer.o_proj);
    visit(at + "mlp.gate_proj", layer.gate_proj);
    visit(at + "mlp.up_proj", layer.up_proj);
    visit(at + "mlp.down_proj", layer.down_proj);
  }
}

void Decoder::each_weight(const std::function<void(const std::string&, at::Tensor&)>& visit) {
  visit("model.embed_tokens.weight", embed_VD_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    DecoderLayer& layer = layers_[i];
    const std::string at = fmt::format("model.layers.{}.", i);
    visit(at + "input_layernorm.weight", layer.input_layernorm);
    visit(at + "post_attention_layernorm.weight", layer.post_attention_layernorm);
    if (shape_.qk_norm) {
      visit(at + "self_attn.q_norm.weight", layer.q_norm);
      visit(at + "self_attn.k_norm.weight", layer.k_norm);
    }
    const auto linear = [&](const char* path, adapter::Linear& projection, bool bias) {
      visit(at + path + ".weight", projection.weight_OI);
      if (bias) {
        visit(at + path + ".bias", projection.bias_O);
      }
    };
    linear("self_attn.q_proj", layer.q_proj, shape_.qkv_bias);
    linear("self_attn.k_proj", layer.k_proj, shape_.qkv_bias);
    linear("self_attn.v_proj", layer.v_proj, shape_.qkv_bias);
    linear("self_attn.o_proj", layer.o_proj, shape_.out_bias);
    linear("mlp.gate_proj", layer.gate_proj, false);
    linear("mlp.up_proj", layer.up_proj, false);
    linear("mlp.down_proj", layer.down_proj, false);
  }
  visit("model.norm.weight", norm_D_);
  if (!shape_.tied_head) {
    visit("lm_head.weight", head_VD_);
  }
}

std::vector<Decoder::Named> Decoder::trained_parameters() {
  std::vector<Named> named;
  each_linear([&](const std::string& path, adapter::Linear& linear) {
    if (linear.lora) {
      named.push_back({path + ".lora_A", linear.lora->a_RI});
      named.push_back({path + ".lora_B", linear.lora->b_OR});
    }
  });
  if (named.empty()) {
    each_weight([&](const std::string& name, at::Tensor& weight) {
      if (weight.requires_grad()) {
        named.push_back({name, weight});
      }
    });
  }
  return named;
}

int64_t Decoder::weight_bytes() {
  int64_t bytes = 0;
  each_weight([&](const std::string&, at::Tensor& weight) {
    bytes += static_cast<int64_t>(weight.nbytes());
  });
  return bytes;
}

}  // namespace attune::model
