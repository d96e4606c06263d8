// Adapters that PEFT made, on a whole model (tests/golden/lora_peft.py), and what a new one is.
#include <set>

#include <ATen/core/grad_mode.h>

#include "attune/adapter/peft.h"

#include "tests/model/support.h"

namespace attune::model {
namespace {

using tests::difference;
using tests::golden;
using tests::read_tensor;

std::vector<std::pair<std::string, adapter::Linear*>> layers_of(Decoder& model) {
  std::vector<std::pair<std::string, adapter::Linear*>> layers;
  model.each_linear([&](const std::string& path, adapter::Linear& linear) {
    layers.emplace_back(path, &linear);
  });
  return layers;
}

class GoldenLora : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path folder_ = golden("lora") / GetParam();
  io::TensorFile file_ = io::open_safetensors(folder_ / "golden.safetensors");
};
INSTANTIATE_TEST_SUITE_P(Peft,
                         GoldenLora,
                         testing::Values("plain", "rslora"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(GoldenLora, GivesTheLogitsThatPeftGives) {
  const at::NoGradGuard no_grad;
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const auto model = tests::load(golden("models/llama3"), dtype);
    adapter::load_peft(layers_of(*model), folder_);
    const char* const bits = dtype == at::kFloat ? "32" : "64";
    const double tolerance = dtype == at::kFloat ? 1e-5 : 1e-11;
    for (const int n : {7, 13, 29}) {
      SCOPED_TRACE(fmt::format("{} tokens, {} bits", n, bits));
      const at::Tensor ids_T = read_tensor(file_, fmt::format("ids.{}", n));
      if (dtype == at::kDouble || n <= 13) {
        const at::Tensor logits = model->logits(tests::hidden(*model, ids_T));
        EXPECT_LE(difference(logits, read_tensor(file_, fmt::format("logits{}.{}", bits, n))),
                  tolerance);
      }
      EXPECT_LE(difference(tests::text_logps(*model, ids_T),
                           read_tensor(file_, fmt::format("logps64.{}", n))),
                tolerance);
    }
  }
}

TEST_P(GoldenLora, MergesIntoTheWeightsThatPeftMerges) {
  const auto model = tests::load(golden("models/llama3"));
  adapter::load_peft(layers_of(*model), folder_);
  int compared = 0;
  model->each_linear([&](const std::string& path, adapter::Linear& linear) {
    const std::string name = "merged64." + path + ".weight";
    if (file_.find(name) != nullptr) {
      EXPECT_LE(difference(linear.merged_weight(), read_tensor(file_, name)), 1e-6);
      ++compared;
    }
  });
  EXPECT_EQ(compared, 3);
}

TEST_P(GoldenLora, ASavedModelHoldsTheMergedWeights) {
  const at::NoGradGuard no_grad;
  const Source source = open_model(golden("models/llama3"));
  const auto model = load_model(source, at::kFloat);
  adapter::load_peft(layers_of(*model), folder_);
  const auto folder = tests::temp_path("merged");
  save_model(*model, source, folder, at::kFloat);
  const auto merged = tests::load(folder);
  const at::Tensor ids_T = read_tensor(file_, "ids.29");
  EXPECT_LE(difference(tests::text_logps(*merged, ids_T), read_tensor(file_, "logps64.29")), 1e-5);
}

TEST_P(GoldenLora, SavedByAttuneGivesTheSameBits) {
  const auto model = tests::load(golden("models/llama3"));
  adapter::load_peft(layers_of(*model), folder_);
  const auto folder = tests::temp_path("adapter");
  adapter::save_peft(layers_of(*model), "models/llama3", folder);
  const auto ours = io::open_safetensors(folder / "adapter_model.safetensors");
  const auto theirs = io::open_safetensors(folder_ / "adapter_model.safetensors");
  ASSERT_EQ(ours.tensors().size(), theirs.tensors().size());
  for (const io::TensorView& view : theirs.tensors()) {
    EXPECT_TRUE(tests::same_bits(read_tensor(ours, view.name), read_tensor(theirs, view.name)));
  }
}

TEST(NewAdapter, ChangesNoBitOfAModel) {
  const at::NoGradGuard no_grad;
  const auto model = tests::load(golden("models/qwen3"));
  const at::Tensor ids_T =
      read_tensor(io::open_safetensors(golden("models/qwen3/golden.safetensors")), "ids.29");
  const at::Tensor before = tests::text_logps(*model, ids_T);
  adapter::add_lora(layers_of(*model), {.rank = 5, .targets = {"all-linear"}, .path = {}}, 3);
  EXPECT_TRUE(tests::same_bits(tests::text_logps(*model, ids_T), before));
  EXPECT_TRUE(tests::same_bits(tests::text_logps(*model, ids_T, {.adapters = false}), before));
}

TEST(NewAdapter, IsAllThatIsTrained) {
  const auto model = tests::load(golden("models/qwen3"));
  EXPECT_TRUE(model->trained_parameters().empty());
  adapter::add_lora(layers_of(*model), {.rank = 5, .path = {}}, 3);
  const auto named = model->trained_parameters();
  ASSERT_EQ(named.size(), 12U);  // A and B of q_proj and v_proj in 3 layers
  EXPECT_EQ(named[0].name, "model.layers.0.self_attn.q_proj.lora_A");
  EXPECT_EQ(named[1].name, "model.layers.0.self_attn.q_proj.lora_B");
  EXPECT_EQ(named[11].name, "model.layers.2.self_attn.v_proj.lora_B");
}

// Run files are checked against these names before a model is there.
TEST(Targets, AreTheLayersOfEveryFamily) {
  const std::set<std::string> known(adapter::kLayers.begin(), adapter::kLayers.end());
  for (const char* const family : {"llama2", "llama3", "mistral", "qwen2", "qwen3", "smollm2"}) {
    std::set<std::string> found;
    const auto model = tests::load(golden("models") / family);
    model->each_linear([&](const std::string& path, adapter::Linear& /*linear*/) {
      found.insert(path.substr(path.rfind('.') + 1));
    });
    EXPECT_EQ(found, known) << family;
  }
}

}  // namespace
}  // namespace attune::model
