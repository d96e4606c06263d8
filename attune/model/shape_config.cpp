// config.json to a DecoderShape, and back.
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/io/json.h"
#include "attune/model/checkpoint.h"
#include "attune/model/families.h"

namespace attune::model {
namespace {

using nlohmann::json;

// Typed reading of one JSON object, with the file and the key in every message.
class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  [[nodiscard]] bool has(const char* key) const {
    return object_.contains(key) && !object_.at(key).is_null();
  }
  [[nodiscard]] int64_t count(const char* key, std::optional<int64_t> fallback = {}) const {
    if (!has(key) && fallback) {
      return *fallback;
    }
    check(has(key), "{}: \"{}\" is missing", where_, key);
    const json& value = object_.at(key);
    check(value.is_number_integer(),
          "{}: \"{}\" must be a whole number, got {}",
          where_,
          key,
          value.dump());
    const auto number = value.get<int64_t>();
    check(number > 0 && number <= (int64_t{1} << 31),
          "{}: \"{}\" must be 1 or more, got {}",
          where_,
          key,
          number);
    return number;
  }
  [[nodiscard]] double number(const char* key, double fallback) const {
    if (!has(key)) {
      return fallback;
    }
    check(object_.at(key).is_number(),
          "{}: \"{}\" must be a number, got {}",
          where_,
          key,
          object_.at(key).dump());
    const auto value = object_.at(key).get<double>();
    check(value > 0, "{}: \"{}\" must be > 0, got {}", where_, key, value);
    return value;
  }
  [[nodiscard]] bool flag(const char* key, bool fallback) const {
    if (!has(key)) {
      return fallback;
    }
    check(object_.at(key).is_boolean(),
          "{}: \"{}\" must be true or false, got {}",
          where_,
          key,
          object_.at(key).dump());
    return object_.at(key).get<bool>();
  }
  [[nodiscard]] std::string text(const char* key, const std::string& fallback) const {
    if (!has(key)) {
      return fallback;
    }
    check(object_.at(key).is_string(),
          "{}: \"{}\" must be a text, got {}",
          where_,
          key,
          object_.at(key).dump());
    return object_.at(key).get<std::string>();
  }

 private:
  const json& object_;
  std::string where_;
};

// Newer files say rope_parameters; older ones rope_theta and rope_scaling.
void read_rotary(const json& config, const std::string& where, nn::RotaryShape& rotary) {
  const Reader top(config, where);
  rotary.theta = top.number("rope_theta", 10000.0);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.contains(key) || !config.at(key).is_object()) {
      continue;
    }
    const json& scaling = config.at(key);
    const Reader reader(scaling, where + ": " + key);
    rotary.theta = reader.number("rope_theta", rotary.theta);
    const std::string type = reader.text("rope_type", reader.text("type", "default"));
    if (type == "llama3") {
      rotary.llama3 = nn::Llama3Scaling{
          .factor = reader.number("factor", 8.0),
          .low_freq_factor = reader.number("low_freq_factor", 1.0),
          .high_freq_factor = reader.number("high_freq_factor", 4.0),
          .original_max_positions = reader.number("original_max_position_embeddings", 8192)};
      check(rotary.llama3->high_freq_factor > rotary.llama3->low_freq_factor,
            "{}: {}: \"high_freq_factor\" {} must be above \"low_freq_factor\" {}",
            where,
            key,
            rotary.llama3->high_freq_factor,
            rotary.llama3->low_freq_factor);
    } else if (type == "linear") {
      rotary.linear_factor = reader.number("factor", 1.0);
    } else {
      check(type == "default",
            "{}: {} of type \"{}\" is not supported. Known: default, linear, llama3",
            where,
            key,
            type);
    }
    check(reader.number("partial_rotary_factor", 1) == 1,
          "{}: {}: a partial rotary embedding is not supported",
          where,
          key);
    return;
  }
}

// What would change the computation and is not computed here.
void refuse_unsupported(const json& config,
                        const Family& family,
                        int64_t max_positions,
                        const std::string& where) {
  const Reader reader(config, where);
  check(!reader.flag("mlp_bias", false), "{}: \"mlp_bias\": true is not supported", where);
  const std::string activation = reader.text("hidden_act", "silu");
  check(activation == "silu",
        "{}: \"hidden_act\": \"{}\" is not supported, only silu",
        where,
        activation);
  check(reader.number("partial_rotary_factor", 1) == 1,
        "{}: \"partial_rotary_factor\": a partial rotary embedding is not supported",
        where);
  check(!reader.has("quantization_config"),
        "{}: the weights are quantised (\"quantization_config\"), which is not supported; use the "
        "unquantised folder or a .gguf file",
        where);
  // Mistral's window holds when it is named; Qwen's must also be switched on.
  const bool named_is_on = family.architecture == "MistralForCausalLM";
  const bool sliding =
      reader.has("sliding_window") && reader.flag("use_sliding_window", named_is_on);
  check(!sliding || reader.count("sliding_window") >= max_positions,
        "{}: a sliding window of {} tokens is not supported; set max_position_embeddings to it if "
        "your texts are shorter",
        where,
        sliding ? reader.count("sliding_window") : 0);
}

}  // namespace

DecoderShape shape_from_config(const std::string& text, const std::string& where) {
  const json config = io::parse_json(text, where);
  check(config.is_object(), "{}: expected one JSON object", where);
  check(config.contains("architectures") && config.at("architectures").is_array() &&
            config.at("architectures").size() == 1 && config.at("architectures")[0].is_string(),
        "{}: \"architectures\" must name one class",
        where);
  const Family& family = family_of(config.at("architectures")[0].get<std::string>(), where);
  const Reader reader(config, where);
  DecoderShape shape;
  shape.architecture = family.architecture;
  shape.vocabulary = reader.count("vocab_size");
  shape.width = reader.count("hidden_size");
  shape.layers = reader.count("num_hidden_layers");
  shape.heads = reader.count("num_attention_heads");
  shape.kv_heads = reader.count("num_key_value_heads", shape.heads);
  check(reader.has("head_dim") || shape.width % shape.heads == 0,
        "{}: hidden_size {} is no multiple of num_attention_heads {}",
        where,
        shape.width,
        shape.heads);
  shape.head_dim = reader.count("head_dim", std::max<int64_t>(1, shape.width / shape.heads));
  shape.feed_forward = reader.count("intermediate_size");
  shape.max_positions = reader.count("max_position_embeddings", 2048);
  shape.norm_eps = reader.number("rms_norm_eps", 1e-6);
  shape.tied_head = reader.flag("tie_word_embeddings", false);
  const bool attention_bias = reader.flag("attention_bias", false);
  shape.qkv_bias = family.qkv_bias || attention_bias;
  shape.out_bias = !family.qkv_bias && attention_bias;
  shape.qk_norm = family.qk_norm;
  shape.rotary.head_dim = shape.head_dim;
  read_rotary(config, where, shape.rotary);
  refuse_unsupported(config, family, shape.max_positions, where);
  check_shape(shape, where);
  return shape;
}

std::string with_dtype(const std::string& config_text, at::ScalarType dtype) {
  json config = json::parse(config_text);
  const char* const name = dtype == at::kBFloat16 ? "bfloat16" : "float32";
  if (config.contains("dtype")) {
    config["dtype"] = name;
  }
  if (config.contains("torch_dtype") || !config.contains("dtype")) {
    config["torch_dtype"] = name;
  }
  return config.dump(2) + "\n";
}

std::string config_json(const DecoderShape& shape, at::ScalarType dtype) {
  const Family& family = family_of(shape.architecture, "config.json");
  nlohmann::ordered_json config;
  config["architectures"] = {shape.architecture};
  config["model_type"] = family.model_type;
  config["vocab_size"] = shape.vocabulary;
  config["hidden_size"] = shape.width;
  config["intermediate_size"] = shape.feed_forward;
  config["num_hidden_layers"] = shape.layers;
  config["num_attention_heads"] = shape.heads;
  config["num_key_value_heads"] = shape.kv_heads;
  config["head_dim"] = shape.head_dim;
  config["max_position_embeddings"] = shape.max_positions;
  config["rms_norm_eps"] = shape.norm_eps;
  config["rope_theta"] = shape.rotary.theta;
  if (shape.rotary.llama3) {
    const nn::Llama3Scaling& s = *shape.rotary.llama3;
    config["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", s.factor},
        {"low_freq_factor", s.low_freq_factor},
        {"high_freq_factor", s.high_freq_factor},
        {"original_max_position_embeddings", static_cast<int64_t>(s.original_max_positions)}};
  } else if (shape.rotary.linear_factor != 1.0) {
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", shape.rotary.linear_factor}};
  }
  config["hidden_act"] = "silu";
  config["attention_bias"] = shape.out_bias || (shape.qkv_bias && !family.qkv_bias);
  config["tie_word_embeddings"] = shape.tied_head;
  config["torch_dtype"] = dtype == at::kBFloat16 ? "bfloat16" : "float32";
  if (family.architecture == "MistralForCausalLM") {
    config["sliding_window"] = nullptr;
  }
  return config.dump(2) + "\n";
}

}  // namespace attune::model
