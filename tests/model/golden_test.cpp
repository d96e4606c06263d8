// Every family of decoders against transformers (tests/golden/models.py).
#include <ATen/core/grad_mode.h>

#include "attune/core/file.h"

#include "tests/model/support.h"

namespace attune::model {
namespace {

using tests::difference;
using tests::golden;
using tests::read_tensor;

struct Case {
  const char* folder;
  const char* numbers;  // the folder whose golden.safetensors holds
};

class GoldenModel : public testing::TestWithParam<Case> {
 protected:
  static void compare(
      const Decoder& model, const char* numbers, const char* bits, int longest, double tolerance) {
    const at::NoGradGuard no_grad;
    const auto file =
        io::open_safetensors(golden(fmt::format("models/{}/golden.safetensors", numbers)));
    for (const int n : {1, 2, 7, 13, 29, 61}) {
      SCOPED_TRACE(fmt::format("{} tokens, {} bits", n, bits));
      const at::Tensor ids_T = read_tensor(file, fmt::format("ids.{}", n));
      const at::Tensor h_TD = tests::hidden(model, ids_T);
      if (n <= longest) {
        EXPECT_LE(
            difference(model.logits(h_TD), read_tensor(file, fmt::format("logits{}.{}", bits, n))),
            tolerance);
      }
      if (n > 1) {
        EXPECT_LE(difference(tests::text_logps(model, ids_T),
                             read_tensor(file, fmt::format("logps{}.{}", bits, n))),
                  tolerance);
      }
    }
  }
};

TEST_P(GoldenModel, GivesTheLogitsOfTransformersInF64) {
  const auto model = tests::load(golden("models") / GetParam().folder, at::kDouble);
  compare(*model, GetParam().numbers, "64", /*longest=*/29, 1e-11);
}

TEST_P(GoldenModel, GivesTheLogitsOfTransformersInF32) {
  const auto model = tests::load(golden("models") / GetParam().folder, at::kFloat);
  compare(*model, GetParam().numbers, "32", /*longest=*/13, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Families,
                         GoldenModel,
                         testing::Values(Case{"llama2", "llama2"},
                                         Case{"llama3", "llama3"},
                                         Case{"smollm2", "smollm2"},
                                         Case{"smollm2-bf16", "smollm2-bf16"},
                                         Case{"mistral", "mistral"},
                                         Case{"qwen2", "qwen2"},
                                         Case{"qwen3", "qwen3"},
                                         Case{"qwen3-sharded", "qwen3"}),
                         [](const auto& test) {
                           std::string name = test.param.folder;
                           std::erase(name, '-');
                           return name;
                         });

TEST(GoldenModel, KeptInBf16GivesTheSameNumbersIfTheFileIsBf16) {
  const Source source = open_model(golden("models/smollm2-bf16"));
  const auto narrow = load_model(source, at::kBFloat16);
  const auto wide = load_model(source, at::kFloat);
  const at::NoGradGuard no_grad;
  const auto file = io::open_safetensors(golden("models/smollm2-bf16/golden.safetensors"));
  const at::Tensor ids_T = read_tensor(file, "ids.29");
  EXPECT_TRUE(tests::same_bits(tests::text_logps(*narrow, ids_T), tests::text_logps(*wide, ids_T)));
  EXPECT_LT(narrow->weight_bytes(), 0.6 * static_cast<double>(wide->weight_bytes()));
}

TEST(GoldenModel, BothGenerationsOfConfigKeysMeanTheSame) {
  const auto read = [](const char* name) {
    const auto path = golden("models/llama3") / name;
    return config_json(shape_from_config(read_file(path), path.string()), at::kFloat);
  };
  EXPECT_EQ(read("config.json"), read("config_v5.json"));
}

}  // namespace
}  // namespace attune::model
