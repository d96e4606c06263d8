// PEFT folders: written, read back, and refused.
#include "attune/adapter/peft.h"

#include <map>

#include <nlohmann/json.hpp>

#include "attune/core/file.h"
#include "attune/io/json.h"
#include "attune/io/safetensors_writer.h"

#include "tests/tensor/golden.h"

namespace attune::adapter {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using tests::error_of;
using tests::golden;

// Bare layers with the paths of a two-layer decoder.
struct Toy {
  explicit Toy(int64_t width = 12) {
    for (const char* const name : {"q_proj", "k_proj", "v_proj"}) {
      for (int i = 0; i < 2; ++i) {
        const int64_t out = std::string(name) == "q_proj" ? 14 : 10;
        const std::string path = fmt::format("model.layers.{}.self_attn.{}", i, name);
        linears[path].weight_OI = tests::normal({out, width}, 1, at::kFloat);
      }
    }
    for (auto& [path, linear] : linears) {
      layers.emplace_back(path, &linear);
    }
  }
  [[nodiscard]] std::vector<std::string> adapted() const {
    std::vector<std::string> paths;
    for (const auto& [path, linear] : layers) {
      if (linear->lora) {
        paths.push_back(path);
      }
    }
    return paths;
  }
  // B filled, so that nothing is neutral.
  void fill() {
    uint64_t seed = 100;
    for (auto& [path, linear] : linears) {
      if (linear.lora) {
        const auto shape = linear.lora->b_OR.sizes().vec();
        linear.lora->b_OR = tests::normal(shape, ++seed, at::kFloat).set_requires_grad(true);
      }
    }
  }
  std::map<std::string, Linear> linears;
  std::vector<std::pair<std::string, Linear*>> layers;
};

const AdapterOptions kOptions{
    .rank = 5, .alpha = 13, .dropout = 0.25, .targets = {"q_proj", "v_proj"}, .path = {}};

TEST(AddLora, AdaptsTheTargetsAndNothingElse) {
  Toy toy;
  add_lora(toy.layers, kOptions, 3);
  EXPECT_THAT(toy.adapted(),
              testing::ElementsAre("model.layers.0.self_attn.q_proj",
                                   "model.layers.0.self_attn.v_proj",
                                   "model.layers.1.self_attn.q_proj",
                                   "model.layers.1.self_attn.v_proj"));
  // Each layer draws its own A, and has masks of its own.
  const auto& a = *toy.linears.at("model.layers.0.self_attn.q_proj").lora;
  const auto& b = *toy.linears.at("model.layers.1.self_attn.q_proj").lora;
  EXPECT_GT(tests::difference(a.a_RI, b.a_RI), 1e-3);
  EXPECT_NE(a.ordinal, b.ordinal);
}

TEST(AddLora, TheDrawOfALayerDoesNotHangOnTheOthers) {
  Toy one;
  Toy two;
  add_lora(one.layers, kOptions, 3);
  AdapterOptions all = kOptions;
  all.targets = {"all-linear"};
  add_lora(two.layers, all, 3);
  EXPECT_EQ(two.adapted().size(), 6U);
  const char* const path = "model.layers.1.self_attn.v_proj";
  EXPECT_TRUE(tests::same_bits(one.linears.at(path).lora->a_RI, two.linears.at(path).lora->a_RI));
  EXPECT_EQ(one.linears.at(path).lora->ordinal, two.linears.at(path).lora->ordinal);
  Toy other_seed;
  add_lora(other_seed.layers, kOptions, 4);
  EXPECT_GT(
      tests::difference(one.linears.at(path).lora->a_RI, other_seed.linears.at(path).lora->a_RI),
      1e-3);
}

TEST(AddLora, AnUnknownTargetGetsTheNearestOne) {
  Toy toy;
  AdapterOptions options = kOptions;
  options.targets = {"q_proj", "v_porj"};
  EXPECT_THAT(error_of([&] { add_lora(toy.layers, options, 3); }),
              AllOf(HasSubstr("adapter.targets: no layer is called \"v_porj\""),
                    HasSubstr("Did you mean \"v_proj\"?")));
  EXPECT_TRUE(toy.adapted().empty());
  options.targets = {};
  EXPECT_THAT(error_of([&] { add_lora(toy.layers, options, 3); }),
              HasSubstr("adapter.targets is empty"));
}

TEST(Peft, WhatIsWrittenReadsBackToTheSameBits) {
  for (const bool rslora : {false, true}) {
    Toy toy;
    AdapterOptions options = kOptions;
    options.rslora = rslora;
    add_lora(toy.layers, options, 3);
    toy.fill();
    const fs::path folder = tests::temp_path("adapter");
    save_peft(toy.layers, "base/model", folder);

    const PeftConfig config = read_peft_config(folder);
    EXPECT_EQ(config.rank, 5);
    EXPECT_EQ(config.alpha, 13);
    EXPECT_EQ(config.dropout, 0.25);
    EXPECT_EQ(config.rslora, rslora);
    EXPECT_EQ(config.base_model, "base/model");
    EXPECT_EQ(config.targets, kOptions.targets);

    Toy again;
    load_peft(again.layers, folder);
    EXPECT_EQ(again.adapted(), toy.adapted());
    for (const std::string& path : toy.adapted()) {
      const Lora& a = *toy.linears.at(path).lora;
      const Lora& b = *again.linears.at(path).lora;
      EXPECT_TRUE(tests::same_bits(a.a_RI, b.a_RI) && tests::same_bits(a.b_OR, b.b_OR));
      EXPECT_TRUE(b.a_RI.requires_grad() && b.b_OR.requires_grad());
      EXPECT_EQ(a.scale(), b.scale());
      EXPECT_EQ(a.dropout, b.dropout);
      EXPECT_EQ(a.ordinal, b.ordinal) << "an adapter that goes on must draw the same masks";
    }
  }
}

TEST(Peft, WritesTheNamesThatPeftReads) {
  Toy toy;
  add_lora(toy.layers, kOptions, 3);
  const fs::path folder = tests::temp_path("adapter");
  save_peft(toy.layers, "base/model", folder);
  const auto file = io::open_safetensors(folder / "adapter_model.safetensors");
  EXPECT_EQ(file.tensors().size(), 8U);
  EXPECT_EQ(file.at("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight").shape,
            (std::vector<int64_t>{5, 12}));
  EXPECT_EQ(file.at("base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight").shape,
            (std::vector<int64_t>{14, 5}));
  // Every key that attune writes is one that PEFT wrote, of the same type.
  const json ours = io::read_json(folder / "adapter_config.json");
  const json theirs = io::read_json(golden("lora/plain/adapter_config.json"));
  for (const auto& [key, value] : ours.items()) {
    ASSERT_TRUE(theirs.contains(key)) << key;
    EXPECT_TRUE(value.type() == theirs.at(key).type() ||
                (value.is_number() && theirs.at(key).is_number()))
        << key;
  }
}

// A PEFT folder that can be changed.
class PeftFolder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = tests::temp_path("adapter");
    fs::remove_all(path_);
    Toy toy;
    add_lora(toy.layers, kOptions, 3);
    save_peft(toy.layers, "base", path_);
    config_ = io::read_json(path_ / "adapter_config.json");
  }
  std::string with(const char* key, const json& value) {
    json config = config_;
    config[key] = value;
    write_file(path_ / "adapter_config.json", config.dump());
    return loading();
  }
  std::string loading(int64_t width = 12) {
    Toy toy(width);
    const std::string message = error_of([&] { load_peft(toy.layers, path_); });
    EXPECT_EQ(toy.adapted().empty(), message != "no error") << "half an adapter";
    return message;
  }
  std::string with_tensors(const std::function<void(std::vector<io::TensorView>&)>& change) {
    const auto file = io::open_safetensors(path_ / "adapter_model.safetensors");
    std::vector<io::TensorView> views = file.tensors();
    change(views);
    io::write_safetensors(path_ / "adapter_model.safetensors", views);
    return loading();
  }
  fs::path path_;
  json config_;
};

TEST_F(PeftFolder, LoadsAsItIs) {
  EXPECT_EQ(loading(), "no error");
}

TEST_F(PeftFolder, WhatAttuneDoesNotComputeIsNamed) {
  EXPECT_THAT(with("peft_type", "LOHA"), HasSubstr("\"peft_type\" must be LORA, got \"LOHA\""));
  EXPECT_THAT(with("use_dora", true), HasSubstr("\"use_dora\": true is not supported"));
  EXPECT_THAT(with("bias", "all"), HasSubstr("\"bias\": \"all\" is not supported"));
  EXPECT_THAT(with("bias", 3), HasSubstr("\"bias\" has a wrong type"));
  EXPECT_THAT(with("modules_to_save", {"lm_head"}), HasSubstr("\"modules_to_save\""));
  EXPECT_THAT(with("rank_pattern", {{"q_proj", 4}}), HasSubstr("\"rank_pattern\""));
  EXPECT_THAT(with("alpha_pattern", {{"q_proj", 4}}), HasSubstr("\"alpha_pattern\""));
  EXPECT_THAT(with("layers_to_transform", {0}), HasSubstr("\"layers_to_transform\""));
  EXPECT_THAT(with("fan_in_fan_out", true), HasSubstr("\"fan_in_fan_out\""));
  EXPECT_THAT(with("lora_bias", true), HasSubstr("\"lora_bias\""));
  EXPECT_THAT(with("init_lora_weights", "pissa_niter_4"), HasSubstr("changes the base model too"));
  EXPECT_EQ(with("init_lora_weights", "gaussian"), "no error");
  EXPECT_EQ(with("rank_pattern", json::object()), "no error");
  EXPECT_EQ(with("modules_to_save", nullptr), "no error");
}

TEST_F(PeftFolder, LyingNumbersAreRefused) {
  EXPECT_THAT(with("r", 0), HasSubstr("\"r\" must be 1 or more"));
  EXPECT_THAT(with("r", "8"), HasSubstr("\"r\" has a wrong type"));
  EXPECT_THAT(with("r", 7), HasSubstr("must be [7, 12] for this model, got [5, 12]"));
  EXPECT_THAT(with("r", int64_t{1} << 60), HasSubstr("for this model, got [5, 12]"));
  EXPECT_THAT(with("lora_alpha", 0), HasSubstr("\"lora_alpha\" must be > 0"));
  EXPECT_THAT(with("lora_dropout", 1), HasSubstr("\"lora_dropout\" must be in [0, 1)"));
  EXPECT_THAT(with("use_rslora", "yes"), HasSubstr("\"use_rslora\" has a wrong type"));
}

TEST_F(PeftFolder, AnAdapterOfAnotherModelIsRefused) {
  EXPECT_THAT(loading(/*width=*/16),
              AllOf(HasSubstr("must be [5, 16] for this model, got [5, 12]"),
                    HasSubstr("is it an adapter of another model?")));
}

TEST_F(PeftFolder, ATensorThatNoLayerHasIsNamed) {
  EXPECT_THAT(with_tensors([](auto& views) {
                auto extra = views.front();
                extra.name = "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight";
                views.push_back(extra);
              }),
              HasSubstr("the model has no layer for base_model.model.model.layers.9"));
}

TEST_F(PeftFolder, AMissingTensorIsNamed) {
  const auto without = [&](const std::string& part) {
    SetUp();
    return with_tensors([&](auto& views) {
      std::erase_if(views, [&](const auto& v) { return v.name.find(part) != std::string::npos; });
    });
  };
  EXPECT_THAT(without("layers.1.self_attn.v_proj.lora_B"), HasSubstr("v_proj.lora_B.weight"));
  // A whole layer that target_modules names.
  EXPECT_THAT(without("layers.1.self_attn.v_proj"), HasSubstr("layers.1.self_attn.v_proj.lora_A"));
}

TEST_F(PeftFolder, MissingAndBrokenFilesAreNamed) {
  write_file(path_ / "adapter_config.json", "{");
  EXPECT_THAT(loading(), HasSubstr("adapter_config.json"));
  write_file(path_ / "adapter_config.json", "[]");
  EXPECT_THAT(loading(), HasSubstr("expected one JSON object"));
  fs::remove(path_ / "adapter_config.json");
  EXPECT_THAT(loading(), HasSubstr("no adapter_config.json in this folder"));
  write_file(path_ / "adapter_config.json", config_.dump());
  fs::remove(path_ / "adapter_model.safetensors");
  EXPECT_THAT(loading(), HasSubstr("adapter_model.safetensors"));
}

}  // namespace
}  // namespace attune::adapter
