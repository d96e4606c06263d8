#include "attune/model/gguf_names.h"

#include <array>
#include <string_view>
#include <utility>

#include "attune/core/error.h"

namespace attune::model {

std::string gguf_name(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kParts{{
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
  }};
  static constexpr std::string_view kLayers = "model.layers.";
  if (name == "model.embed_tokens.weight") {
    return "token_embd.weight";
  }
  if (name == "model.norm.weight") {
    return "output_norm.weight";
  }
  if (name == "lm_head.weight") {
    return "output.weight";
  }
  if (name.starts_with(kLayers)) {
    const size_t dot = name.find('.', kLayers.size());
    const size_t last = name.rfind('.');
    const std::string part = name.substr(dot + 1, last - dot - 1);
    for (const auto& [theirs, ours] : kParts) {
      if (theirs == part) {
        return fmt::format("blk.{}.{}{}",
                           name.substr(kLayers.size(), dot - kLayers.size()),
                           ours,
                           name.substr(last));
      }
    }
  }
  throw InternalError(fmt::format("no GGUF name for {}", name));
}

bool interleaves_rotary_rows(const std::string& architecture) {
  return architecture == "LlamaForCausalLM" || architecture == "MistralForCausalLM";
}

}  // namespace attune::model
