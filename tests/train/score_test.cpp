// Scores and gradients of packed groups against padded transformers (tests/golden/packed.py).
#include "attune/train/score.h"

#include <ATen/core/grad_mode.h>

#include "tests/train/support.h"

namespace attune::train {
namespace {

using tests::difference;
using tests::golden;
using tests::magnitude;
using tests::read_tensor;

struct Case {
  const char* model;
  at::ScalarType dtype;
};

class PackedScore : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] std::unique_ptr<model::Decoder> load() const {
    return tests::load(golden("models") / GetParam().model, GetParam().dtype);
  }
  [[nodiscard]] at::Tensor want(const std::string& kind, const std::string& name) const {
    return read_tensor(file_, fmt::format("{}.{}.{}", GetParam().model, kind, name));
  }
  [[nodiscard]] double tolerance() const {
    return GetParam().dtype == at::kDouble ? 1e-11 : 1e-5;
  }
  // Log-probs, losses and all gradients that the file holds.
  void expect_golden(model::Decoder& model, const std::string& kind) const {
    const std::vector<PreferenceBatch> whole = groups_.cut(1 << 20);
    ASSERT_EQ(whole.size(), 1U);
    const at::Tensor logp_C = token_logps(model, whole[0], {});
    EXPECT_LE(difference(logp_C, want(kind, "token_logps")), tolerance());
    const at::Tensor sum_S = score(model, whole[0], {}).sum_S;
    EXPECT_EQ(sum_S.scalar_type(), at::kDouble);
    EXPECT_LE(difference(sum_S, want(kind, "logps")), 10 * tolerance());

    const tests::Gradients ours = tests::gradients(model, groups_, whole);
    EXPECT_NEAR(ours.report.mean.loss, want(kind, "loss").item<double>(), tolerance());
    int compared = 0;
    const std::string prefix = fmt::format("{}.{}.grad.", GetParam().model, kind);
    for (const io::TensorView& view : file_.tensors()) {
      if (view.name.starts_with(prefix)) {
        std::string name = view.name.substr(prefix.size());
        if (kind == "lora") {
          name = name.substr(0, name.size() - std::string(".weight").size());
        }
        const at::Tensor theirs = read_tensor(file_, view.name);
        ASSERT_TRUE(ours.of.contains(name)) << name;
        EXPECT_LE(difference(ours.of.at(name), theirs), tolerance() * magnitude(theirs)) << name;
        ++compared;
      }
    }
    EXPECT_GE(compared, kind == "lora" ? 12 : 5);
  }

  tests::GoldenGroups groups_;
  io::TensorFile file_ = io::open_safetensors(golden("packed.safetensors"));
};

INSTANTIATE_TEST_SUITE_P(Models,
                         PackedScore,
                         testing::Values(Case{"qwen3", at::kDouble},
                                         Case{"smollm2", at::kDouble},
                                         Case{"llama3", at::kDouble},
                                         Case{"qwen3", at::kFloat},
                                         Case{"smollm2", at::kFloat},
                                         Case{"llama3", at::kFloat}),
                         [](const auto& test) {
                           return fmt::format(
                               "{}{}", test.param.model, test.param.dtype == at::kFloat ? 32 : 64);
                         });

TEST_P(PackedScore, EqualsPaddedTransformersWithAllParametersTrained) {
  const auto model = load();
  tests::train_all(*model);
  expect_golden(*model, "full");
}

TEST_P(PackedScore, EqualsPaddedTransformersWithAnAdapterTrained) {
  const auto model = load();
  tests::add_golden_lora(*model, GetParam().model, GetParam().dtype);
  expect_golden(*model, "lora");
}

TEST_P(PackedScore, IsThatOfEachCompletionAlone) {
  const at::NoGradGuard no_grad;
  const auto model = load();
  const std::vector<double> packed =
      tests::numbers(score(*model, groups_.cut(1 << 20)[0], {}).sum_S);
  size_t s = 0;
  for (const data::EncodedGroup& group : groups_.groups) {
    for (const std::vector<int32_t>& completion : group.completions) {
      std::vector<int32_t> text = group.prompt;
      text.insert(text.end(), completion.begin(), completion.end());
      at::Tensor ids_T = tests::count_up(static_cast<int64_t>(text.size()));
      std::copy(text.begin(), text.end(), ids_T.data_ptr<int64_t>());
      const auto first = static_cast<int64_t>(group.prompt.size()) - 1;
      const at::Tensor alone = tests::text_logps(*model, ids_T).slice(0, first).sum();
      EXPECT_NEAR(packed.at(s), alone.item<double>(), 10 * tolerance()) << "sequence " << s;
      ++s;
    }
  }
  EXPECT_EQ(s, packed.size());
}

TEST_P(PackedScore, AnyTokenBudgetGivesTheSameGradient) {
  const auto model = load();
  tests::train_all(*model);
  const tests::Gradients whole = tests::gradients(*model, groups_, groups_.cut(1 << 20));
  size_t most = 0;
  // 1: every group alone, one of them without any comparison. 20 and 41: some together.
  for (const int64_t budget : {1, 20, 41, 80}) {
    SCOPED_TRACE(budget);
    const auto batches = groups_.cut(budget);
    most = std::max(most, batches.size());
    const tests::Gradients cut = tests::gradients(*model, groups_, batches);
    EXPECT_NEAR(cut.report.mean.loss, whole.report.mean.loss, tolerance());
    EXPECT_LE(distance(whole, cut), GetParam().dtype == at::kDouble ? 1e-13 : 1e-6);
    EXPECT_LE(difference(whole, cut), GetParam().dtype == at::kDouble ? 1e-12 : 2e-6);
  }
  EXPECT_EQ(most, groups_.groups.size());
}

TEST_P(PackedScore, RecomputedLayersGiveTheSameGradient) {
  const auto model = load();
  const std::vector<PreferenceBatch> batches = groups_.cut(41);
  tests::add_golden_lora(*model, GetParam().model, GetParam().dtype, /*dropout=*/0.3);
  const adapter::Pass pass{.dropout = true, .dropout_key = 7};
  const tests::Gradients kept = tests::gradients(*model, groups_, batches, pass);
  const tests::Gradients again = tests::gradients(*model, groups_, batches, pass, true);
  EXPECT_EQ(difference(kept, again), 0);
  EXPECT_EQ(kept.report.mean.loss, again.report.mean.loss);

  const auto bare = load();
  tests::train_all(*bare);
  const tests::Gradients all_kept = tests::gradients(*bare, groups_, batches);
  const tests::Gradients all_again = tests::gradients(*bare, groups_, batches, {}, true);
  EXPECT_LE(difference(all_kept, all_again), GetParam().dtype == at::kDouble ? 1e-14 : 1e-6);
}

TEST_P(PackedScore, DropoutIsTheSameInAnyPacking) {
  const auto model = load();
  tests::add_golden_lora(*model, GetParam().model, GetParam().dtype, /*dropout=*/0.3);
  const adapter::Pass pass{.dropout = true, .dropout_key = 7};
  const tests::Gradients whole = tests::gradients(*model, groups_, groups_.cut(1 << 20), pass);
  for (const int64_t budget : {1, 41}) {
    const tests::Gradients cut = tests::gradients(*model, groups_, groups_.cut(budget), pass);
    EXPECT_LE(distance(whole, cut), GetParam().dtype == at::kDouble ? 1e-13 : 1e-6);
    EXPECT_LE(difference(whole, cut), GetParam().dtype == at::kDouble ? 1e-12 : 2e-6);
  }
  const auto other = [&](const adapter::Pass& options) {
    return difference(whole, tests::gradients(*model, groups_, groups_.cut(1 << 20), options));
  };
  EXPECT_GT(other({.dropout = true, .dropout_key = 8}), 1e-2);
  EXPECT_GT(other({.dropout = false, .dropout_key = 7}), 1e-2);
}

TEST_P(PackedScore, PromptsThatBeginAlikeGiveTheSameGradientAsEachAlone) {
  tests::GoldenGroups alike = groups_;
  for (size_t g = 0; g < alike.groups.size(); ++g) {
    std::vector<int32_t>& prompt = alike.groups[g].prompt;
    std::vector<int32_t> start{3, 1, 4, 1, 5, 9, 2};
    if (g % 2 == 1) {
      start.insert(start.end(), {6, 5, 3, 5, 8});
    }
    prompt.insert(prompt.begin(), start.begin(), start.end());
    alike.groups[g].key = data::content_key(alike.groups[g]);
  }
  const PreferenceBatch whole = alike.cut(1 << 20)[0];
  int64_t apart = 0;
  for (const data::EncodedGroup& group : alike.groups) {
    apart += group.num_tokens();
  }
  EXPECT_LT(whole.tokens_N.numel(), apart);

  const auto bare = load();
  tests::train_all(*bare);
  const auto adapted = load();
  tests::add_golden_lora(*adapted, GetParam().model, GetParam().dtype, /*dropout=*/0.3);
  for (const auto& [model, pass] :
       {std::pair{bare.get(), adapter::Pass{}},
        std::pair{adapted.get(), adapter::Pass{.dropout = true, .dropout_key = 7}}}) {
    const tests::Gradients together = tests::gradients(*model, alike, alike.cut(1 << 20), pass);
    const tests::Gradients alone = tests::gradients(*model, alike, alike.cut(1), pass);
    EXPECT_NEAR(together.report.mean.loss, alone.report.mean.loss, tolerance());
    EXPECT_LE(distance(together, alone), GetParam().dtype == at::kDouble ? 1e-13 : 1e-6);
    EXPECT_LE(difference(together, alone), GetParam().dtype == at::kDouble ? 1e-12 : 2e-6);
  }
}

TEST(PackedScore, WithoutAdaptersIsTheBaseModels) {
  const tests::GoldenGroups groups;
  const auto model = tests::load(golden("models/qwen3"), at::kDouble);
  const PreferenceBatch batch = groups.cut(1 << 20)[0];
  const at::Tensor base_S = score(*model, batch, {}).sum_S;
  tests::add_golden_lora(*model, "qwen3", at::kDouble);
  EXPECT_TRUE(tests::same_bits(score(*model, batch, {.adapters = false}).sum_S, base_S));
  EXPECT_GT(difference(score(*model, batch, {}).sum_S, base_S), 0.1);
}

}  // namespace
}  // namespace attune::train
