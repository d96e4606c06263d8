// Folders read and written, and folders that lie.
#include "attune/model/checkpoint.h"

#include <nlohmann/json.hpp>

#include <ATen/core/grad_mode.h>

#include "attune/core/file.h"
#include "attune/io/json.h"
#include "attune/io/safetensors_writer.h"
#include "attune/tensor/convert.h"

#include "tests/model/support.h"

namespace attune::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using tests::error_of;
using tests::golden;

std::string opening(const fs::path& path) {
  return error_of([&] { open_model(path); });
}

// A copy of a golden model whose files can be changed.
class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = tests::temp_path("model");
    fs::remove_all(path_);
    fs::copy(golden("models/qwen3"), path_, fs::copy_options::recursive);
  }
  void change_config(const std::function<void(json&)>& change) {
    json config = io::read_json(golden("models/qwen3/config.json"));
    change(config);
    write_file(path_ / "config.json", config.dump());
  }
  // What open_model says when one key of config.json is changed; null: erased.
  std::string with(const char* key, const json& value) {
    change_config([&](json& config) {
      if (value.is_null()) {
        config.erase(key);
      } else {
        config[key] = value;
      }
    });
    return opening(path_);
  }
  void change_tensors(const std::function<void(std::vector<io::TensorView>&)>& change) {
    const auto file = io::open_safetensors(golden("models/qwen3/model.safetensors"));
    std::vector<io::TensorView> views = file.tensors();
    change(views);
    io::write_safetensors(path_ / "model.safetensors", views);
  }
  fs::path path_;
};

TEST_F(Folder, OpensAsItIs) {
  EXPECT_EQ(opening(path_), "no error");
}

TEST_F(Folder, WhatIsMissingIsNamed) {
  EXPECT_THAT(opening(""), HasSubstr("model.path is empty"));
  EXPECT_THAT(opening(path_ / "no"), HasSubstr("no such file or folder"));
  fs::remove(path_ / "config.json");
  EXPECT_THAT(opening(path_), HasSubstr("no config.json in this folder"));
  fs::copy(golden("models/qwen3/config.json"), path_);
  fs::remove(path_ / "model.safetensors");
  EXPECT_THAT(opening(path_), HasSubstr(path_.string()));
}

TEST_F(Folder, AnUnknownArchitectureGetsTheNearestOne) {
  EXPECT_THAT(with("architectures", json::array({"Qwen3ForCausalML"})),
              AllOf(HasSubstr("config.json: architecture \"Qwen3ForCausalML\" is not supported"),
                    HasSubstr("Did you mean \"Qwen3ForCausalLM\"?")));
  EXPECT_THAT(with("architectures", json::array({"BertModel"})), HasSubstr("Known: Llama"));
  EXPECT_THAT(with("architectures", nullptr), HasSubstr("\"architectures\" must name one class"));
  EXPECT_THAT(with("architectures", json::array()), HasSubstr("must name one class"));
  EXPECT_THAT(with("architectures", json::array({7})), HasSubstr("must name one class"));
}

TEST_F(Folder, LyingNumbersAreRefused) {
  for (const char* const key : {"vocab_size",
                                "hidden_size",
                                "num_hidden_layers",
                                "num_attention_heads",
                                "num_key_value_heads",
                                "head_dim",
                                "intermediate_size"}) {
    SCOPED_TRACE(key);
    for (const json& value : std::vector<json>{0,
                                               -4,
                                               int64_t{1} << 40,
                                               std::numeric_limits<uint64_t>::max(),
                                               2.5,
                                               "12",
                                               true,
                                               json::array({4})}) {
      EXPECT_THAT(with(key, value), AllOf(HasSubstr("config.json"), HasSubstr(key)));
    }
    // Large but possible: the tensors do not fit, and nothing of that size is made.
    EXPECT_THAT(with(key, 2000000000), Not(HasSubstr("no error")));
  }
  EXPECT_THAT(with("head_dim", 11), HasSubstr("the head size must be even, got 11"));
  EXPECT_THAT(with("num_attention_heads", 5), HasSubstr("5 query heads cannot share 2"));
  EXPECT_THAT(with("rms_norm_eps", 0), HasSubstr("\"rms_norm_eps\" must be > 0"));
  EXPECT_THAT(with("rms_norm_eps", "x"), HasSubstr("\"rms_norm_eps\" must be a number"));
  EXPECT_THAT(with("tie_word_embeddings", 1), HasSubstr("must be true or false"));
}

TEST_F(Folder, WhatAttuneDoesNotComputeIsRefused) {
  EXPECT_THAT(with("mlp_bias", true), HasSubstr("\"mlp_bias\": true is not supported"));
  EXPECT_THAT(with("hidden_act", "gelu"), HasSubstr("\"hidden_act\": \"gelu\""));
  EXPECT_THAT(with("hidden_act", 3), HasSubstr("\"hidden_act\" must be a text"));
  EXPECT_THAT(with("quantization_config", {{"bits", 4}}), HasSubstr("quantised"));
  EXPECT_THAT(with("partial_rotary_factor", 0.5), HasSubstr("partial rotary"));
  EXPECT_THAT(with("rope_parameters", {{"rope_type", "yarn"}, {"factor", 2.0}}),
              HasSubstr("of type \"yarn\" is not supported. Known: default, linear, llama3"));
  EXPECT_THAT(with("rope_parameters", {{"rope_type", 3}}), HasSubstr("\"rope_type\" must be"));
  EXPECT_THAT(with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", -1}}),
              HasSubstr("\"rope_theta\" must be > 0"));
  EXPECT_THAT(with("rope_parameters",
                   {{"rope_type", "llama3"}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}),
              HasSubstr("must be above"));
  change_config([](json& config) {
    config["use_sliding_window"] = true;
    config["sliding_window"] = 17;
  });
  EXPECT_THAT(opening(path_), HasSubstr("a sliding window of 17 tokens is not supported"));
}

TEST_F(Folder, BrokenJsonIsRefused) {
  for (const char* const text :
       {"", "{", "[]", "7", "{\"architectures\": [\"Qwen3ForCausalLM\"]"}) {
    write_file(path_ / "config.json", text);
    EXPECT_THAT(opening(path_), HasSubstr("config.json")) << text;
  }
}

TEST_F(Folder, WeightsOfLayersBeyondTheConfigsCountAreRefused) {
  EXPECT_THAT(with("num_hidden_layers", 2),
              AllOf(HasSubstr("of layer 2, but the config says 2 layers")));
}

TEST_F(Folder, AMissingTensorIsNamed) {
  change_tensors([](auto& views) {
    std::erase_if(views,
                  [](const auto& v) { return v.name == "model.layers.1.self_attn.k_norm.weight"; });
  });
  EXPECT_THAT(opening(path_), HasSubstr("model.layers.1.self_attn.k_norm.weight"));
}

TEST_F(Folder, ATensorOfAnotherShapeIsNamed) {
  change_tensors([](auto& views) {
    for (auto& view : views) {
      if (view.name == "model.layers.2.mlp.down_proj.weight") {
        std::swap(view.shape[0], view.shape[1]);
      }
    }
  });
  EXPECT_THAT(opening(path_),
              HasSubstr("tensor model.layers.2.mlp.down_proj.weight must be [30, 37] for this "
                        "config, got [37, 30]"));
}

TEST_F(Folder, AnUntiedHeadMustBeThere) {
  EXPECT_THAT(with("tie_word_embeddings", false), HasSubstr("no tensor lm_head.weight"));
}

TEST_F(Folder, ATokenOutsideTheVocabularyIsRefused) {
  const auto model = tests::load(path_);
  for (const int64_t id : {int64_t{101}, int64_t{-1}, int64_t{1} << 40}) {
    at::Tensor ids_T = tests::count_up(3);
    ids_T.data_ptr<int64_t>()[1] = id;
    EXPECT_THAT(error_of([&] { tests::hidden(*model, ids_T); }),
                HasSubstr(fmt::format("token id {} is beyond the model's vocabulary of 101", id)));
  }
}

TEST_F(Folder, TheFingerprintSeesEveryWeightAndTheShape) {
  const std::string before = open_model(path_).fingerprint();
  EXPECT_EQ(open_model(golden("models/qwen3")).fingerprint(), before);
  change_config([](json& config) { config["rms_norm_eps"] = 2e-6; });
  EXPECT_NE(open_model(path_).fingerprint(), before);
  change_config([](json&) {});
  std::string bytes = read_file(path_ / "model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(path_ / "model.safetensors", bytes);
  EXPECT_NE(open_model(path_).fingerprint(), before);
}

class SavedModel : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Families,
    SavedModel,
    testing::Values("llama2", "llama3", "smollm2", "mistral", "qwen2", "qwen3", "qwen3-sharded"),
    [](const auto& test) {
      std::string name = test.param;
      std::erase(name, '-');
      return name;
    });

TEST_P(SavedModel, ReadsBackToTheSameBits) {
  const Source source = open_model(golden("models") / GetParam());
  const auto model = load_model(source, at::kFloat);
  const fs::path folder = tests::temp_path("saved");
  save_model(*model, source, folder, at::kFloat);
  const Source again = open_model(folder);
  EXPECT_EQ(config_json(again.shape, at::kFloat), config_json(source.shape, at::kFloat));
  const auto loaded = load_model(again, at::kFloat);
  std::map<std::string, at::Tensor> weights;
  model->each_weight([&](const std::string& name, at::Tensor& w) { weights[name] = w; });
  size_t compared = 0;
  loaded->each_weight([&](const std::string& name, at::Tensor& w) {
    EXPECT_TRUE(tests::same_bits(w, weights.at(name))) << name;
    ++compared;
  });
  EXPECT_EQ(compared, weights.size());
}

TEST_P(SavedModel, KeepsWhatItsConfigSays) {
  const Source source = open_model(golden("models") / GetParam());
  const fs::path folder = tests::temp_path("saved");
  save_model(*load_model(source, at::kFloat), source, folder, at::kBFloat16);
  json before = io::read_json(source.path / "config.json");
  json after = io::read_json(folder / "config.json");
  const char* const dtype = before.contains("dtype") ? "dtype" : "torch_dtype";
  EXPECT_EQ(after.at(dtype), "bfloat16");
  before.erase(dtype);
  after.erase(dtype);
  EXPECT_EQ(after, before);
  const auto file = io::open_safetensors(folder / "model.safetensors");
  EXPECT_EQ(file.tensors().at(0).dtype, io::DType::kBF16);
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

TEST(SavedModel, TheConfigOfAShapeDescribesThatShape) {
  for (const char* const family : {"llama2", "llama3", "smollm2", "mistral", "qwen2", "qwen3"}) {
    const Source source = open_model(golden("models") / family);
    const std::string text = config_json(source.shape, at::kFloat);
    EXPECT_EQ(config_json(shape_from_config(text, family), at::kFloat), text);
  }
}

}  // namespace
}  // namespace attune::model
