// The layers by hand against LibTorch's tape: rows and the gradient of every parameter.
#include "attune/model/trunk.h"

#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>

#include "attune/adapter/peft.h"
#include "attune/tensor/gemm.h"
#include "attune/tensor/tiles.h"

#include "tests/model/support.h"

namespace attune::model {
namespace {

using tests::difference;
using tests::golden;
using tests::magnitude;
using tests::normal;
using tests::same_bits;

// A prompt of 5 tokens with K completions of 3, 7, 11, ... tokens, then one plain text of 13.
struct Packed {
  std::shared_ptr<tensor::Tree> tree = std::make_shared<tensor::Tree>();
  at::Tensor tokens_N;
  at::Tensor positions_N;
  at::Tensor row_keys_N;
  at::Tensor row_C;  // the prompt's last row once for each completion, and the completions' rows

  explicit Packed(int64_t K) {
    std::vector<int64_t> positions;
    std::vector<int64_t> rows;
    const auto segment = [&](int64_t size, int64_t parent, int64_t first) {
      const auto begin = static_cast<int64_t>(positions.size());
      tree->segments.push_back({begin, begin + size, parent});
      for (int64_t i = 0; i < size; ++i) {
        positions.push_back(first + i);
      }
      return begin;
    };
    segment(5, -1, 0);
    for (int64_t k = 0; k < K; ++k) {
      const int64_t begin = segment(3 + 4 * k, 0, 5);
      rows.push_back(4);
      for (int64_t i = 0; i + 1 < 3 + 4 * k; ++i) {
        rows.push_back(begin + i);
      }
    }
    const int64_t text = segment(13, -1, 0);
    rows.push_back(text + 2);
    rows.push_back(text + 11);
    const auto as_tensor = [](const std::vector<int64_t>& numbers) {
      at::Tensor t = at::empty({static_cast<int64_t>(numbers.size())}, at::kLong);
      std::copy(numbers.begin(), numbers.end(), t.data_ptr<int64_t>());
      return t;
    };
    positions_N = as_tensor(positions);
    row_C = as_tensor(rows);
    std::vector<int64_t> tokens;
    std::vector<int64_t> keys;
    for (size_t n = 0; n < positions.size(); ++n) {
      tokens.push_back(static_cast<int64_t>((7 * n + 3) % 61));
      keys.push_back(static_cast<int64_t>(1000 + 17 * n));
    }
    tokens_N = as_tensor(tokens);
    row_keys_N = as_tensor(keys);
  }
};

struct Result {
  at::Tensor rows_CD;
  std::map<std::string, at::Tensor> slopes;
};

Result run(Decoder& model, const Packed& batch, adapter::Pass pass, bool by_hand, bool recompute) {
  const bool before = tensor::hand_written_trunk();
  tensor::set_hand_written_trunk(by_hand);
  pass.row_keys_N = batch.row_keys_N;
  Result result;
  const auto named = model.trained_parameters();
  for (const auto& parameter : named) {
    parameter.tensor.mutable_grad() = at::Tensor();
  }
  const at::Tensor rows_CD =
      model.rows(batch.tokens_N, batch.positions_N, batch.tree, batch.row_C, pass, recompute);
  result.rows_CD = rows_CD.detach().clone();
  const at::Tensor pull = normal(rows_CD.sizes().vec(), 5).to(rows_CD.scalar_type());
  (rows_CD * pull).sum().backward();
  for (const auto& parameter : named) {
    if (parameter.tensor.grad().defined()) {
      result.slopes[parameter.name] = parameter.tensor.grad().clone();
    }
  }
  tensor::set_hand_written_trunk(before);
  return result;
}

void expect_same(const Result& a, const Result& b, double tolerance) {
  EXPECT_LE(difference(a.rows_CD, b.rows_CD), tolerance * magnitude(b.rows_CD));
  ASSERT_EQ(a.slopes.size(), b.slopes.size());
  ASSERT_FALSE(b.slopes.empty());
  for (const auto& [name, slope] : b.slopes) {
    ASSERT_GT(magnitude(slope), 0) << name << ": the test's own gradient is zero";
    EXPECT_LE(difference(a.slopes.at(name), slope), tolerance * magnitude(slope)) << name;
  }
}

double tolerance_of(at::ScalarType dtype) {
  return dtype == at::kDouble ? 1e-10 : 1e-5;
}

std::vector<std::pair<std::string, adapter::Linear*>> layers_of(Decoder& model) {
  std::vector<std::pair<std::string, adapter::Linear*>> layers;
  model.each_linear([&](const std::string& path, adapter::Linear& linear) {
    layers.emplace_back(path, &linear);
  });
  return layers;
}

// B is zero in a new adapter, and A would get no gradient.
void add_adapters(Decoder& model, std::vector<std::string> targets, double dropout = 0) {
  adapter::add_lora(layers_of(model),
                    {.rank = 5, .dropout = dropout, .targets = std::move(targets), .path = {}},
                    3);
  uint64_t seed = 11;
  for (auto& [path, linear] : layers_of(model)) {
    if (linear->lora) {
      const at::NoGradGuard no_grad;
      linear->lora->b_OR.copy_(0.1 * normal(linear->lora->b_OR.sizes().vec(), seed++));
    }
  }
}

void train_all(Decoder& model) {
  model.each_weight([](const std::string&, at::Tensor& weight) { weight.set_requires_grad(true); });
}

class TrunkOfFamily
    : public testing::TestWithParam<std::tuple<const char*, at::ScalarType, int64_t>> {
 protected:
  std::unique_ptr<Decoder> model_ =
      tests::load(golden("models") / std::get<0>(GetParam()), std::get<1>(GetParam()));
  // The tape's own rounding in f32 would be as large as what is looked for.
  std::unique_ptr<Decoder> exact_ =
      tests::load(golden("models") / std::get<0>(GetParam()), at::kDouble);
  Packed batch_{std::get<2>(GetParam())};
  double tolerance_ = tolerance_of(std::get<1>(GetParam()));
};

TEST_P(TrunkOfFamily, TrainsEveryWeightAsTheTapeDoes) {
  train_all(*model_);
  train_all(*exact_);
  expect_same(run(*model_, batch_, {}, /*by_hand=*/true, /*recompute=*/false),
              run(*exact_, batch_, {}, /*by_hand=*/false, /*recompute=*/false),
              tolerance_);
}

TEST_P(TrunkOfFamily, TrainsAdaptersOfEveryLayerAsTheTapeDoes) {
  add_adapters(*model_, {"all-linear"});
  add_adapters(*exact_, {"all-linear"});
  expect_same(run(*model_, batch_, {}, /*by_hand=*/true, /*recompute=*/false),
              run(*exact_, batch_, {}, /*by_hand=*/false, /*recompute=*/false),
              tolerance_);
}

TEST_P(TrunkOfFamily, DropsWhatTheTapeDrops) {
  add_adapters(*model_, {"all-linear"}, 0.3);
  add_adapters(*exact_, {"all-linear"}, 0.3);
  const adapter::Pass pass{.dropout = true, .dropout_key = 41};
  expect_same(run(*model_, batch_, pass, /*by_hand=*/true, /*recompute=*/false),
              run(*exact_, batch_, pass, /*by_hand=*/false, /*recompute=*/false),
              tolerance_);
}

INSTANTIATE_TEST_SUITE_P(
    Families,
    TrunkOfFamily,
    testing::Combine(testing::Values("llama2", "llama3", "smollm2", "mistral", "qwen2", "qwen3"),
                     testing::Values(at::kFloat, at::kDouble),
                     testing::Values(int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}, int64_t{5})),
    [](const auto& test) {
      return fmt::format("{}_{}_{}",
                         std::get<0>(test.param),
                         std::get<1>(test.param) == at::kDouble ? "f64" : "f32",
                         std::get<2>(test.param));
    });

class Trunk : public testing::Test {
 protected:
  ~Trunk() override {
    tensor::set_narrow_products(tensor::Narrow::kNone);
  }
  std::unique_ptr<Decoder> model_ = tests::load(golden("models/qwen3"), at::kDouble);
  Packed batch_{3};
};

TEST_F(Trunk, RunsLayersAgainToTheSameBits) {
  add_adapters(*model_, {"all-linear"}, 0.3);
  const adapter::Pass pass{.dropout = true, .dropout_key = 41};
  const Result kept = run(*model_, batch_, pass, /*by_hand=*/true, /*recompute=*/false);
  const Result again = run(*model_, batch_, pass, /*by_hand=*/true, /*recompute=*/true);
  EXPECT_TRUE(same_bits(kept.rows_CD, again.rows_CD));
  for (const auto& [name, slope] : kept.slopes) {
    EXPECT_TRUE(same_bits(slope, again.slopes.at(name))) << name;
  }
}

// A model whose products are large enough to be rounded, all but those of keys and values.
std::unique_ptr<Decoder> wide_model() {
  constexpr int64_t kWidth = 256;
  constexpr int64_t kInner = 512;
  DecoderShape shape;
  shape.vocabulary = 67;
  shape.width = kWidth;
  shape.layers = 3;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 64;
  shape.feed_forward = kInner;
  shape.max_positions = 64;
  shape.tied_head = true;
  shape.rotary.head_dim = 64;
  auto model = std::make_unique<Decoder>(shape);
  const std::map<std::string, std::vector<int64_t>> sizes{{"embed_tokens", {67, kWidth}},
                                                          {"q_proj", {256, kWidth}},
                                                          {"k_proj", {128, kWidth}},
                                                          {"v_proj", {128, kWidth}},
                                                          {"o_proj", {kWidth, 256}},
                                                          {"gate_proj", {kInner, kWidth}},
                                                          {"up_proj", {kInner, kWidth}},
                                                          {"down_proj", {kWidth, kInner}}};
  uint64_t seed = 0;
  model->each_weight([&](const std::string& name, at::Tensor& weight) {
    weight = 1 + 0.1 * normal({kWidth}, ++seed, at::kFloat);  // of a norm
    for (const auto& [part, size] : sizes) {
      if (name.find(part) != name.npos) {
        weight = 0.05 * normal(size, ++seed, at::kFloat);
      }
    }
  });
  return model;
}

TEST_F(Trunk, RoundedProductsStayNearTheExactAndRunAgainToTheSameBits) {
  if (!tensor::tiles_take_bf16()) {
    GTEST_SKIP() << "this machine has no bf16 products";
  }
  for (const bool adapters : {true, false}) {
    const auto model = wide_model();
    adapters ? add_adapters(*model, {"all-linear"}, 0.3) : train_all(*model);
    const adapter::Pass pass{.dropout = adapters, .dropout_key = 41};
    const Result exact = run(*model, batch_, pass, /*by_hand=*/true, /*recompute=*/false);
    for (const auto mode : {tensor::Narrow::kBackward, tensor::Narrow::kAll}) {
      tensor::set_narrow_products(mode);
      const Result kept = run(*model, batch_, pass, /*by_hand=*/true, /*recompute=*/false);
      const Result again = run(*model, batch_, pass, /*by_hand=*/true, /*recompute=*/true);
      tensor::set_narrow_products(tensor::Narrow::kNone);
      EXPECT_TRUE(same_bits(kept.rows_CD, again.rows_CD));
      EXPECT_EQ(same_bits(kept.rows_CD, exact.rows_CD), mode == tensor::Narrow::kBackward);
      EXPECT_LE(difference(kept.rows_CD, exact.rows_CD), 3e-2 * magnitude(exact.rows_CD));
      for (const auto& [name, slope] : exact.slopes) {
        EXPECT_TRUE(same_bits(kept.slopes.at(name), again.slopes.at(name))) << name;
        EXPECT_LE(difference(kept.slopes.at(name), slope), 5e-2 * magnitude(slope)) << name;
      }
    }
  }
}

// The adapters of a run file's defaults: nothing needs the slopes of gate and up but the layer
// below.
TEST_F(Trunk, RoundedProductsTakeFewWantedRowsAndGiveEachWhatItGetsAmongMany) {
  if (!tensor::tiles_take_bf16()) {
    GTEST_SKIP() << "this machine has no bf16 products";
  }
  const auto model = wide_model();
  add_adapters(*model, {"q_proj", "v_proj"});
  for (const int64_t count : {1, 3, 15, 19}) {
    SCOPED_TRACE(fmt::format("{} rows", count));
    Packed few(3);
    few.row_C = few.row_C.slice(0, 0, count);
    const Result exact = run(*model, few, {}, /*by_hand=*/true, /*recompute=*/false);
    for (const auto mode : {tensor::Narrow::kBackward, tensor::Narrow::kAll}) {
      tensor::set_narrow_products(mode);
      const Result all = run(*model, Packed(3), {}, /*by_hand=*/true, /*recompute=*/false);
      for (const bool recompute : {false, true}) {
        const Result rounded = run(*model, few, {}, /*by_hand=*/true, recompute);
        EXPECT_TRUE(same_bits(rounded.rows_CD, all.rows_CD.slice(0, 0, count)));
        for (const auto& [name, slope] : exact.slopes) {
          EXPECT_LE(difference(rounded.slopes.at(name), slope), 5e-2 * magnitude(slope)) << name;
        }
      }
      tensor::set_narrow_products(tensor::Narrow::kNone);
    }
  }
}

TEST_F(Trunk, StopsAtTheLowestTrainedLayer) {
  add_adapters(*model_, {"up_proj"});
  for (auto& [path, linear] : layers_of(*model_)) {
    if (!path.starts_with("model.layers.2.")) {
      linear->lora.reset();
    }
  }
  for (const bool recompute : {false, true}) {
    expect_same(run(*model_, batch_, {}, /*by_hand=*/true, recompute),
                run(*model_, batch_, {}, /*by_hand=*/false, /*recompute=*/false),
                1e-10);
  }
}

TEST_F(Trunk, TrainsOnlyTheEmbedding) {
  model_->each_weight([](const std::string& name, at::Tensor& weight) {
    weight.set_requires_grad(name == "model.embed_tokens.weight");
  });
  expect_same(run(*model_, batch_, {}, /*by_hand=*/true, /*recompute=*/false),
              run(*model_, batch_, {}, /*by_hand=*/false, /*recompute=*/false),
              1e-10);
}

TEST_F(Trunk, IsTheBaseModelWithoutItsAdapters) {
  const at::NoGradGuard no_grad;
  const at::Tensor before =
      model_->rows(batch_.tokens_N, batch_.positions_N, batch_.tree, batch_.row_C, {});
  add_adapters(*model_, {"all-linear"});
  const auto rows = [&](bool adapters) {
    return model_->rows(
        batch_.tokens_N, batch_.positions_N, batch_.tree, batch_.row_C, {.adapters = adapters});
  };
  EXPECT_TRUE(same_bits(rows(false), before));
  EXPECT_GT(difference(rows(true), before), 1e-3);
}

TEST_F(Trunk, GradientsAddUpOverBatches) {
  add_adapters(*model_, {"q_proj", "v_proj"});
  const Packed other(1);
  const Result a = run(*model_, batch_, {}, /*by_hand=*/true, /*recompute=*/false);
  const Result b = run(*model_, other, {}, /*by_hand=*/true, /*recompute=*/false);
  for (const auto& parameter : model_->trained_parameters()) {
    parameter.tensor.mutable_grad() = at::Tensor();
  }
  for (const Packed* batch : {&static_cast<const Packed&>(batch_), &other}) {
    const at::Tensor rows_CD =
        model_->rows(batch->tokens_N, batch->positions_N, batch->tree, batch->row_C, {});
    (rows_CD * normal(rows_CD.sizes().vec(), 5)).sum().backward();
  }
  for (const auto& parameter : model_->trained_parameters()) {
    const at::Tensor sum = a.slopes.at(parameter.name) + b.slopes.at(parameter.name);
    EXPECT_LE(difference(parameter.tensor.grad(), sum), 1e-6 * magnitude(sum));  // they are f32
  }
}

TEST_F(Trunk, TwoBatchesMayBeUnderWayAtOnce) {
  add_adapters(*model_, {"q_proj", "v_proj"});
  const Packed other(1);
  const Result a = run(*model_, batch_, {}, /*by_hand=*/true, /*recompute=*/false);
  const auto rows = [&](const Packed& batch) {
    return model_->rows(batch.tokens_N, batch.positions_N, batch.tree, batch.row_C, {});
  };
  for (const auto& parameter : model_->trained_parameters()) {
    parameter.tensor.mutable_grad() = at::Tensor();
  }
  const at::Tensor first = rows(batch_);
  const at::Tensor second = rows(other);
  (first * normal(first.sizes().vec(), 5)).sum().backward();
  for (const auto& [name, slope] : a.slopes) {
    for (const auto& parameter : model_->trained_parameters()) {
      if (parameter.name == name) {
        EXPECT_TRUE(same_bits(parameter.tensor.grad(), slope)) << name;
      }
    }
  }
  EXPECT_TRUE(second.defined());
}

}  // namespace
}  // namespace attune::model
