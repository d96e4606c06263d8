#include "attune/model/families.h"

#include <array>
#include <vector>

#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::model {
namespace {

constexpr std::array kFamilies{
    Family{"LlamaForCausalLM", "llama", "llama", false, false},
    Family{"MistralForCausalLM", "mistral", "mistral", false, false},
    Family{"Qwen2ForCausalLM", "qwen2", "qwen2", true, false},
    Family{"Qwen3ForCausalLM", "qwen3", "qwen3", false, true},
};

const Family& find(std::string_view Family::*name,
                   std::string_view architecture,
                   const std::string& where) {
  std::vector<std::string_view> known;
  for (const Family& family : kFamilies) {
    if (family.*name == architecture) {
      return family;
    }
    known.push_back(family.*name);
  }
  throw Error(fmt::format("{}: architecture \"{}\" is not supported.{} Known: {}",
                          where,
                          architecture,
                          did_you_mean(architecture, known),
                          fmt::join(known, ", ")));
}

}  // namespace

const Family& family_of(std::string_view architecture, const std::string& where) {
  return find(&Family::architecture, architecture, where);
}

const Family& gguf_family_of(std::string_view architecture, const std::string& where) {
  return find(&Family::gguf, architecture, where);
}

void check_shape(const DecoderShape& s, const std::string& where) {
  check(s.head_dim % 2 == 0, "{}: the head size must be even, got {}", where, s.head_dim);
  check(s.heads % s.kv_heads == 0,
        "{}: {} query heads cannot share {} key/value heads",
        where,
        s.heads,
        s.kv_heads);
  check(s.layers <= 4096, "{}: {} layers; no more than 4096 are computed", where, s.layers);
}

}  // namespace attune::model
