// Steps of writing text against LibTorch's tape.
#include "attune/model/inference.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "attune/adapter/lora.h"

#include "tests/model/support.h"

namespace attune::model {
namespace {

using tests::difference;
using tests::error_of;
using tests::golden;
using tests::magnitude;
using tests::normal;
using tests::same_bits;

at::Tensor tokens(int64_t count) {
  return (tests::count_up(count) * 7 + 3).remainder(61);
}

TreeAttention one_text(int64_t count) {
  auto tree = std::make_shared<tensor::Tree>();
  tree->segments.push_back({0, count, -1});
  return TreeAttention(tree);
}

at::Tensor run(const Decoder& model, int64_t count, bool adapters, InferenceRows rows) {
  TreeAttention attention = one_text(count);
  const at::NoGradGuard no_grad;
  return infer(model, tokens(count), tests::count_up(count), attention, adapters, rows);
}

// Adapters on every layer, that do something.
void adapt(Decoder& model) {
  uint64_t key = 0;
  adapter::AdapterOptions options;
  options.rank = 3;
  options.alpha = 5;
  model.each_linear([&](const std::string&, adapter::Linear& linear) {
    linear.lora = adapter::new_lora(linear.weight_OI, options, ++key);
    const at::NoGradGuard no_grad;
    linear.lora->b_OR.copy_(0.1 * normal({linear.weight_OI.size(0), 3}, key, at::kFloat));
  });
}

class Inference : public testing::TestWithParam<std::tuple<const char*, InferenceRows>> {
 protected:
  std::unique_ptr<Decoder> model_ = tests::load(golden("models") / std::get<0>(GetParam()));
  InferenceRows rows_ = std::get<1>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(
    Families,
    Inference,
    testing::Combine(testing::Values("llama2", "llama3", "smollm2", "mistral", "qwen2", "qwen3"),
                     testing::Values(InferenceRows::kFew, InferenceRows::kMany)));

TEST_P(Inference, EqualsTheTape) {
  adapt(*model_);
  for (const bool adapters : {true, false}) {
    TreeAttention attention = one_text(37);
    const at::NoGradGuard no_grad;
    const at::Tensor taped =
        model_->forward(tokens(37), tests::count_up(37), attention, {.adapters = adapters});
    EXPECT_LE(difference(run(*model_, 37, adapters, rows_), taped), 1e-5 * magnitude(taped));
  }
}

TEST_P(Inference, ARowDoesNotDependOnTheOthers) {
  adapt(*model_);
  auto tree = std::make_shared<tensor::Tree>();
  tree->segments = {{0, 41, -1}, {41, 41 + 67, -1}};
  const at::Tensor positions_N = tests::count_up(108);
  positions_N.narrow(0, 41, 67).sub_(41);
  TreeAttention both(tree);
  const at::Tensor together = infer(*model_, tokens(108), positions_N, both, true, rows_);
  TreeAttention second = one_text(67);
  const at::Tensor alone =
      infer(*model_, tokens(108).narrow(0, 41, 67), tests::count_up(67), second, true, rows_);
  EXPECT_TRUE(tests::same_bits(together.narrow(0, 41, 67), alone));
}

TEST_P(Inference, NarrowWeightsAreWidenedExactly) {
  const auto narrow = std::get<0>(GetParam());
  auto kept = load_model(open_model(golden("models") / narrow), at::kBFloat16);
  model_->each_weight([&](const std::string&, at::Tensor& weight) {
    if (weight.dim() == 2) {
      weight = weight.to(at::kBFloat16).to(at::kFloat);
    }
  });
  const at::Tensor wide = run(*model_, 13, true, rows_);
  EXPECT_LE(difference(run(*kept, 13, true, rows_), wide), 1e-6 * magnitude(wide));
}

TEST(InferenceLogits, EqualTheTapesAndDoNotDependOnOtherRows) {
  const auto model = tests::load(golden("models/smollm2"));
  const at::Tensor h_ND = normal({5, model->shape().width}, 1, at::kFloat);
  const at::Tensor together = infer_logits(*model, h_ND);
  const at::Tensor taped = model->logits(h_ND);
  EXPECT_LE(difference(together, taped), 1e-5 * magnitude(taped));
  EXPECT_TRUE(same_bits(infer_logits(*model, h_ND.narrow(0, 3, 1)), together.narrow(0, 3, 1)));
}

TEST(InferenceTokens, BeyondTheVocabularyAreAnError) {
  const auto model = tests::load(golden("models/smollm2"));
  TreeAttention attention = one_text(3);
  const std::string error = error_of([&] {
    infer(*model,
          tests::count_up(3) + model->shape().vocabulary,
          tests::count_up(3),
          attention,
          true,
          InferenceRows::kFew);
  });
  EXPECT_THAT(error, testing::HasSubstr("is beyond the model's vocabulary"));
}

}  // namespace
}  // namespace attune::model
