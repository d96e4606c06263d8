// GGUF metadata to a DecoderShape.
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/io/gguf.h"
#include "attune/model/checkpoint.h"
#include "attune/model/families.h"
#include "attune/model/gguf_names.h"

namespace attune::model {

DecoderShape shape_from_gguf(const io::GgufFile& file) {
  const std::string where = file.path().string();
  const std::string& name = file.get_string("general.architecture");
  const Family& family = gguf_family_of(name, where);
  const auto count = [&](const std::string& key) {
    const int64_t value = file.get_int(name + "." + key);
    check(value > 0 && value <= (int64_t{1} << 31), "{}: {}.{} is {}", where, name, key, value);
    return value;
  };
  DecoderShape shape;
  shape.architecture = family.architecture;
  shape.width = count("embedding_length");
  shape.layers = count("block_count");
  shape.heads = count("attention.head_count");
  shape.kv_heads =
      file.has(name + ".attention.head_count_kv") ? count("attention.head_count_kv") : shape.heads;
  shape.head_dim = file.has(name + ".attention.key_length")
                       ? count("attention.key_length")
                       : std::max<int64_t>(1, shape.width / shape.heads);
  shape.feed_forward = count("feed_forward_length");
  shape.max_positions = count("context_length");
  shape.norm_eps = file.get_float(name + ".attention.layer_norm_rms_epsilon");
  const io::TensorView& embedding = file.at("token_embd.weight");
  check(embedding.shape.size() == 2,
        "{}: tensor token_embd.weight must have two dimensions, got {}",
        where,
        io::shape_text(embedding.shape));
  shape.vocabulary = embedding.shape[0];
  shape.tied_head = file.find("output.weight") == nullptr;
  shape.qkv_bias = file.find("blk.0.attn_q.bias") != nullptr;
  shape.out_bias = file.find("blk.0.attn_output.bias") != nullptr;
  shape.qk_norm = family.qk_norm;
  shape.rotary.head_dim = shape.head_dim;
  shape.rotary.theta =
      file.has(name + ".rope.freq_base") ? file.get_float(name + ".rope.freq_base") : 10000.0;
  check(shape.rotary.theta > 0, "{}: {}.rope.freq_base must be > 0", where, name);
  check(shape.norm_eps > 0 && shape.norm_eps < 1,
        "{}: {}.attention.layer_norm_rms_epsilon must be in (0, 1), got {}",
        where,
        name,
        shape.norm_eps);
  for (const char* key : {".rope.dimension_count", ".attention.value_length"}) {
    check(!file.has(name + key) || file.get_int(name + key) == shape.head_dim,
          "{}: {}{} other than the head size {} is not supported",
          where,
          name,
          key,
          shape.head_dim);
  }
  if (file.has(name + ".rope.scaling.type")) {
    const std::string& type = file.get_string(name + ".rope.scaling.type");
    check(type == "none" || type == "linear",
          "{}: rope scaling \"{}\" is not supported. Known: none, linear",
          where,
          type);
    if (type == "linear") {
      shape.rotary.linear_factor = file.get_float(name + ".rope.scaling.factor");
      check(shape.rotary.linear_factor > 0, "{}: {}.rope.scaling.factor must be > 0", where, name);
    }
  }
  check(file.find("rope_freqs.weight") == nullptr,
        "{}: stretched rotary frequencies in a GGUF file are not supported; use the Hugging Face "
        "folder of this model",
        where);
  check_shape(shape, where);
  return shape;
}

std::string config_from_gguf(const io::GgufFile& file, const DecoderShape& shape) {
  auto config = nlohmann::json::parse(config_json(shape, at::kFloat));
  for (const auto& [ours, theirs] :
       {std::pair{"bos_token_id", "tokenizer.ggml.bos_token_id"},
        std::pair{"eos_token_id", "tokenizer.ggml.eos_token_id"},
        std::pair{"pad_token_id", "tokenizer.ggml.padding_token_id"}}) {
    if (file.has(theirs)) {
      config[ours] = file.get_int(theirs);
    }
  }
  return config.dump(2) + "\n";
}

}  // namespace attune::model
