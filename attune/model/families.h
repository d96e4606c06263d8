// The decoder families that attune computes, under all their names.
#pragma once

#include <string>
#include <string_view>

#include "attune/model/decoder.h"

namespace attune::model {

/// One family.
struct Family {
  std::string_view architecture;  ///< Hugging Face's class, "LlamaForCausalLM".
  std::string_view model_type;    ///< Hugging Face's short name.
  std::string_view gguf;          ///< `general.architecture` of GGUF files.
  bool qkv_bias;                  ///< Always has biases on q, k and v.
  bool qk_norm;                   ///< Has a norm on each query and key head.
};

/// The family of that class. @throws Error naming `where` and the nearest class.
const Family& family_of(std::string_view architecture, const std::string& where);

/// The family of that GGUF architecture. @throws Error, likewise.
const Family& gguf_family_of(std::string_view architecture, const std::string& where);

/// @throws Error if the numbers of a shape contradict each other.
void check_shape(const DecoderShape& shape, const std::string& where);

}  // namespace attune::model
