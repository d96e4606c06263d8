// The decoder of the Llama family: Llama 2 and 3, SmolLM2, Mistral, Qwen2, Qwen3. One code, driven
// by its shape.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/adapter/lora.h"
#include "attune/adapter/pass.h"
#include "attune/nn/rotary.h"
#include "attune/tensor/tree.h"

namespace attune::model {

/// Everything that decides the computation, read from config.json or a GGUF file's metadata.
struct DecoderShape {
  std::string architecture = "LlamaForCausalLM";  ///< Hugging Face's name of the class.
  int64_t vocabulary = 0;                         ///< V
  int64_t width = 0;                              ///< D
  int64_t layers = 0;                             ///< L
  int64_t heads = 0;                              ///< H
  int64_t kv_heads = 0;                           ///< G, a divisor of H
  int64_t head_dim = 0;                           ///< E, even
  int64_t feed_forward = 0;                       ///< F
  int64_t max_positions = 0;  ///< Longest text the model was made for, in tokens.
  double norm_eps = 1e-5;
  bool tied_head = false;  ///< The output embedding is the input embedding.
  bool qkv_bias = false;   ///< Qwen2; Llama with attention_bias.
  bool out_bias = false;   ///< Llama with attention_bias.
  bool qk_norm = false;    ///< Qwen3: norm of each query and key head.
  nn::RotaryShape rotary = {};
};

/// How queries meet keys: over a packed token tree, or over a cache of earlier tokens.
class Attention {
 public:
  virtual ~Attention() = default;
  /// @param q_NHE, k_NGE  rotated.  @return [N, H, E]
  virtual at::Tensor attend(int64_t layer,
                            const at::Tensor& q_NHE,
                            const at::Tensor& k_NGE,
                            const at::Tensor& v_NGE) = 0;
  /// The same attention with a life of its own, for a backward pass that runs the layers again
  /// when this object may be gone. @throws InternalError if it cannot run twice (a cache).
  [[nodiscard]] virtual std::shared_ptr<Attention> shared() const;
};

/// Attention over the token tree of a packed batch.
class TreeAttention : public Attention {
 public:
  explicit TreeAttention(std::shared_ptr<const tensor::Tree> tree) : tree_(std::move(tree)) {}
  at::Tensor attend(int64_t layer,
                    const at::Tensor& q_NHE,
                    const at::Tensor& k_NGE,
                    const at::Tensor& v_NGE) override;
  [[nodiscard]] std::shared_ptr<Attention> shared() const override;

 private:
  std::shared_ptr<const tensor::Tree> tree_;
};

/// One layer's weights, under Hugging Face's names.
struct DecoderLayer {
  at::Tensor input_layernorm;
  at::Tensor post_attention_layernorm;
  at::Tensor q_norm;  ///< Undefined without qk_norm.
  at::Tensor k_norm;
  adapter::Linear q_proj, k_proj, v_proj, o_proj;
  adapter::Linear gate_proj, up_proj, down_proj;
};

/// A decoder-only language model without its tokenizer.
class Decoder {
 public:
  explicit Decoder(DecoderShape shape);

  /// Hidden rows after the last norm, [N, D]; the head reads them.
  /// @param tokens_N     int64 ids, each in [0, V).
  /// @param positions_N  int64, 0 for the first token of a text.
  /// @param recompute    keep only each layer's input for the backward pass; needs an attention
  ///                     that can be shared. The decoder must outlive that pass.
  /// @throws Error        if an id is out of range.
  at::Tensor forward(const at::Tensor& tokens_N,
                     const at::Tensor& positions_N,
                     Attention& attention,
                     const adapter::Pass& pass,
                     bool recompute = false) const;

  /// The hidden rows `row_C` of forward() over a packed token tree, [C, D]. On the CPU the layers
  /// run by hand in planned memory (attune/model/trunk.h) if tensor::hand_written_trunk() says so,
  /// else on LibTorch's tape; the results agree to rounding.
  at::Tensor rows(const at::Tensor& tokens_N,
                  const at::Tensor& positions_N,
                  const std::shared_ptr<const tensor::Tree>& tree,
                  const at::Tensor& row_C,
                  const adapter::Pass& pass,
                  bool recompute = false) const;

  /// log pi(label | row) in nats, f64, [C]: the head on the given hidden rows only.
  [[nodiscard]] at::Tensor label_logps(const at::Tensor& h_CD, const at::Tensor& label_C) const;

  /// The output embedding, [V, D]: logits = h weight^T.
  [[nodiscard]] const at::Tensor& head_weight() const {
    return shape_.tied_head ? embed_VD_ : head_VD_;
  }

  /// [N, V] logits, for sampling.
  [[nodiscard]] at::Tensor logits(const at::Tensor& h_ND) const;

  /// @throws Error if an id is out of range.
  void check_tokens(const at::Tensor& tokens_N) const;

  [[nodiscard]] const DecoderShape& shape() const {
    return shape_;
  }
  [[nodiscard]] const std::vector<DecoderLayer>& layers() const {
    return layers_;
  }
  [[nodiscard]] const at::Tensor& embedding() const {
    return embed_VD_;
  }
  [[nodiscard]] const at::Tensor& norm() const {
    return norm_D_;
  }

  /// Every base weight with Hugging Face's name ("model.layers.0.self_attn.q_proj.weight"), in
  /// checkpoint order. A tied head is not listed.
  void each_weight(const std::function<void(const std::string& name, at::Tensor& weight)>& visit);
  /// Every linear layer with its path ("model.layers.0.self_attn.q_proj").
  void each_linear(const std::function<void(const std::string& path, adapter::Linear&)>& visit);

  /// What training changes: LoRA's A and B where there are adapters, else every weight. Names as in
  /// each_weight, "<path>.lora_A" and "<path>.lora_B".
  struct Named {
    std::string name;
    at::Tensor tensor;
  };
  std::vector<Named> trained_parameters();

  /// Bytes of the base weights as they are kept.
  int64_t weight_bytes();

 private:
  at::Tensor layer_forward(int64_t index,
                           const at::Tensor& x_ND,
                           const nn::RotaryAngles& angles,
                           Attention& attention,
                           const adapter::Pass& pass) const;

  DecoderShape shape_;
  at::Tensor embed_VD_;
  at::Tensor norm_D_;
  at::Tensor head_VD_;  // undefined when tied
  std::vector<DecoderLayer> layers_;
};

}  // namespace attune::model
