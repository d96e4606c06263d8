// What the policy is compared with, in each of its forms.
#include "attune/train/reference.h"

#include <cmath>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include "attune/core/file.h"
#include "attune/text/tokenizer.h"
#include "attune/train/evaluate.h"
#include "attune/train/moving_reference.h"
#include "attune/train/reference_table.h"

#include "tests/train/support.h"

namespace attune::train {
namespace {

namespace fs = std::filesystem;

using objective::SequenceLogps;
using tests::difference;
using tests::golden;
using tests::numbers;
using tests::same_bits;

constexpr objective::Needs kTokens{.tokens = true};

/// The golden model "qwen3" with an adapter that does something.
std::unique_ptr<model::Decoder> adapted(at::ScalarType dtype = at::kFloat) {
  auto model = tests::load(golden("models/qwen3"), dtype);
  tests::add_golden_lora(*model, "qwen3", dtype);
  return model;
}

/// Counts how often it is asked.
class Counting : public Reference {
 public:
  explicit Counting(Reference& inner) : inner_(inner) {}
  SequenceLogps logps(const PreferenceBatch& batch) override {
    ++asked;
    return inner_.logps(batch);
  }
  int asked = 0;

 private:
  Reference& inner_;
};

TEST(BaseReference, IsTheModelWithItsAdapterOff) {
  const tests::GoldenGroups groups;
  const PreferenceBatch batch = groups.cut(1 << 20)[0];
  const auto model = adapted();
  const SequenceLogps bare = score(*tests::load(golden("models/qwen3")), batch, {});
  for (const objective::Needs& needs :
       {objective::Needs{}, kTokens, objective::Needs{.tokens = true, .divergence = true}}) {
    const SequenceLogps got = base_reference(*model, needs)->logps(batch);
    EXPECT_TRUE(same_bits(got.sum_S, bare.sum_S));
    EXPECT_EQ(got.token_C.defined(), needs.tokens);
    EXPECT_FALSE(got.sum_S.requires_grad());
  }
}

TEST(BaseReference, GivesRowsOfTheBatchThatIsAskedFor) {
  const tests::GoldenGroups groups;
  const auto batches = groups.cut(41);
  ASSERT_GE(batches.size(), 2U);
  const auto model = adapted();
  const auto reference = base_reference(*model, {.divergence = true});
  for (const PreferenceBatch& batch : {batches[0], batches[1], batches[0]}) {
    reference->logps(batch);
    const HeadRows rows = reference->rows(batch);
    EXPECT_TRUE(same_bits(rows.h_CD, head_rows(*model, batch, {.adapters = false}).h_CD.detach()));
    EXPECT_FALSE(rows.h_CD.requires_grad());
  }
}

TEST(RememberingReference, AsksOnceAndSaysTheSame) {
  const tests::GoldenGroups groups;
  const auto model = adapted();
  const auto inner = base_reference(*model, kTokens);
  Counting counting(*inner);
  const auto reference = remembering_reference(counting);
  const PreferenceBatch whole = groups.cut(1 << 20)[0];
  const SequenceLogps first = reference->logps(whole);
  const SequenceLogps second = reference->logps(whole);
  EXPECT_EQ(counting.asked, 1);
  EXPECT_TRUE(same_bits(first.sum_S, second.sum_S));
  EXPECT_TRUE(same_bits(first.token_C, second.token_C));
  // Its groups one by one, in another order.
  for (size_t g = groups.groups.size(); g-- > 0;) {
    const PreferenceBatch one = groups.batch({g});
    const SequenceLogps got = reference->logps(one);
    const SequenceLogps want = inner->logps(one);
    EXPECT_LE(difference(got.sum_S, want.sum_S), 1e-4);
    EXPECT_LE(difference(got.token_C, want.token_C), 1e-5);
  }
  EXPECT_EQ(counting.asked, 1);
}

TEST(RememberingReference, OfAReferenceWithoutTokensHasNone) {
  const tests::GoldenGroups groups;
  const auto model = adapted();
  const auto inner = base_reference(*model);
  const auto reference = remembering_reference(*inner);
  const PreferenceBatch batch = groups.cut(1 << 20)[0];
  reference->logps(batch);
  EXPECT_FALSE(reference->logps(batch).token_C.defined());
}

// The 40 rows of the golden curve with its tiny model.
class Table : public testing::Test {
 protected:
  Table() : folder_(fs::path(testing::TempDir()) / "reference_table") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    data::DataOptions options;
    options.cache_dir = folder_ / "tokens";
    const std::vector<std::string> files{golden("trl_curve/rows.jsonl")};
    const auto tokenizer = text::Tokenizer::load(golden("trl_curve/model"));
    cache_.emplace(data::build_token_cache(options, files, *tokenizer, nullptr, watcher_).first);
    for (int64_t i = 0; i < cache_->size(); ++i) {
      groups_.push_back(i);
    }
  }
  ~Table() override {
    fs::remove_all(folder_);
  }

  [[nodiscard]] ReferenceTable where(const std::string& key, bool tokens) const {
    return {.file = folder_ / (key + ".safetensors"), .key = key, .tokens = tokens};
  }
  SequenceLogps looked_up(const ReferenceTable& table, int64_t max_tokens = 300) {
    return cached_reference(reference_table(table, *model_, *cache_, groups_, max_tokens, watcher_))
        ->logps(batch_of(*cache_, groups_));
  }

  fs::path folder_;
  Watcher watcher_;
  std::optional<data::TokenCache> cache_;
  std::vector<int64_t> groups_;
  std::unique_ptr<model::Decoder> model_ = tests::load(golden("trl_curve/model"));
};

TEST_F(Table, SaysWhatTheModelSaysTokenByToken) {
  const SequenceLogps want = score(*model_, batch_of(*cache_, groups_), {}, {.needs = kTokens});
  for (const int64_t max_tokens : {1, 300, 1 << 20}) {
    fs::remove(where("t", true).file);
    const SequenceLogps got = looked_up(where("t", true), max_tokens);
    EXPECT_LE(difference(got.sum_S, want.sum_S), 1e-4);
    EXPECT_LE(difference(got.token_C, want.token_C), 1e-5);
  }
  EXPECT_FALSE(looked_up(where("s", false)).token_C.defined());
}

// A table of another model says other things; what is read again are the file's own numbers.
TEST_F(Table, IsReadAgainIfItsKeyFits) {
  const SequenceLogps first = looked_up(where("t", true));
  model_->each_weight([](const std::string&, at::Tensor& w) { w = 1.1 * w; });
  const SequenceLogps again = looked_up(where("t", true));
  EXPECT_TRUE(same_bits(again.sum_S, first.sum_S));
  EXPECT_TRUE(same_bits(again.token_C, first.token_C));
  ReferenceTable other = where("t", true);
  other.key = "another";
  EXPECT_GT(difference(looked_up(other).sum_S, first.sum_S), 0.1);
}

TEST_F(Table, OnlyWhatIsAskedForIsComputedAndWhatWasStays) {
  const auto few = [&](std::vector<int64_t> groups) {
    return reference_table(where("t", true), *model_, *cache_, groups, 300, watcher_).sums;
  };
  const auto first = few({3, 5, 31});
  for (const int64_t group : groups_) {
    const bool asked = group == 3 || group == 5 || group == 31;
    EXPECT_EQ(std::isnan(first[static_cast<size_t>(group)][0]), !asked) << group;
  }
  model_->each_weight([](const std::string&, at::Tensor& w) { w = 1.1 * w; });
  const auto second = few({5, 7});
  EXPECT_EQ(second[3], first[3]);
  EXPECT_EQ(second[5], first[5]);
  EXPECT_EQ(second[31], first[31]);
  EXPECT_FALSE(std::isnan(second[7][0]));
  EXPECT_TRUE(std::isnan(second[8][0]));
}

TEST_F(Table, WithoutTheTokensItIsComputedAgain) {
  const SequenceLogps sums = looked_up(where("t", false));
  const SequenceLogps both = looked_up(where("t", true));
  EXPECT_TRUE(both.token_C.defined());
  EXPECT_TRUE(same_bits(both.sum_S, sums.sum_S));
}

TEST_F(Table, ADamagedFileIsComputedAgain) {
  const SequenceLogps first = looked_up(where("t", true));
  const std::string bytes = read_file(where("t", true).file);
  write_file(where("t", true).file, bytes.substr(0, bytes.size() / 2));
  EXPECT_TRUE(same_bits(looked_up(where("t", true)).token_C, first.token_C));
}

TEST_F(Table, HasNoDistributions) {
  const auto reference =
      cached_reference(reference_table(where("t", true), *model_, *cache_, groups_, 300, watcher_));
  EXPECT_THROW(static_cast<void>(reference->rows(batch_of(*cache_, groups_))), InternalError);
}

// A policy with an adapter, and what follows it.
class Moving : public testing::TestWithParam<double> {
 protected:
  static std::unique_ptr<model::Decoder> load() {
    return tests::load(golden("models/qwen3"), at::kDouble);
  }
  /// Every base weight of the model, by name.
  static std::map<std::string, at::Tensor> weights(model::Decoder& model) {
    std::map<std::string, at::Tensor> all;
    model.each_weight([&](const std::string& name, at::Tensor& w) { all[name] = w.detach(); });
    return all;
  }
  /// The weights that the policy computes with: W0 + (7 / 3) B A, by other means than attune's.
  static std::map<std::string, at::Tensor> merged(model::Decoder& model) {
    const at::NoGradGuard no_grad;
    auto all = weights(model);
    model.each_linear([&](const std::string& path, adapter::Linear& linear) {
      if (linear.lora) {
        const auto& lora = *linear.lora;
        all[path + ".weight"] = linear.weight_OI + lora.b_OR.matmul(lora.a_RI) * (7.0 / 3.0);
      }
    });
    return all;
  }
  static SequenceLogps score_with(const std::map<std::string, at::Tensor>& weights,
                                  const PreferenceBatch& batch) {
    const auto model = load();
    model->each_weight([&](const std::string& name, at::Tensor& w) { w = weights.at(name); });
    return score(*model, batch, {});
  }
  /// A training step that changes every parameter.
  static void train(model::Decoder& model, double by) {
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : model.trained_parameters()) {
      tensor.mul_(1 + by).add_(0.01 * by);
    }
  }
  static void mix(std::map<std::string, at::Tensor>& into,
                  const std::map<std::string, at::Tensor>& from,
                  double share) {
    for (auto& [name, weight] : into) {
      weight = share * from.at(name) + (1 - share) * weight;
    }
  }

  PreferenceBatch batch_ = tests::GoldenGroups().cut(1 << 20)[0];
};

INSTANTIATE_TEST_SUITE_P(Mix, Moving, testing::Values(0.3, 0.6, 1.0), [](const auto& test) {
  return fmt::format("{}percent", std::lround(100 * test.param));
});

TEST_P(Moving, MixesTheWholeUpdateOfAnAdapter) {
  const auto policy = adapted(at::kDouble);
  MovingReference reference(base_copy(*policy), *policy, GetParam());
  const at::Tensor start = base_reference(*policy)->logps(batch_).sum_S;
  EXPECT_TRUE(same_bits(reference.logps(batch_).sum_S, start));
  auto want = weights(*policy);
  for (const double by : {0.1, -0.4}) {
    mix(want, merged(*policy), GetParam());
    reference.sync();
    const at::Tensor moved = reference.logps(batch_).sum_S;
    EXPECT_LE(difference(moved, score_with(want, batch_).sum_S), 1e-10);
    EXPECT_GT(difference(moved, start), 1e-2);
    if (GetParam() == 1) {
      EXPECT_LE(difference(moved, score(*policy, batch_, {}).sum_S.detach()), 1e-10);
    }
    train(*policy, by);
    EXPECT_TRUE(same_bits(reference.logps(batch_).sum_S, moved));  // until the next pull
  }
  // What the two share is left alone.
  EXPECT_TRUE(same_bits(base_reference(*policy)->logps(batch_).sum_S, start));
}

TEST_P(Moving, MixesEveryWeightWithoutAnAdapter) {
  const auto policy = load();
  tests::train_all(*policy);
  MovingReference reference(load(), *policy, GetParam());
  auto want = weights(*load());
  for (const double by : {0.05, -0.02}) {
    train(*policy, by);
    mix(want, weights(*policy), GetParam());
    reference.sync();
    EXPECT_LE(difference(reference.logps(batch_).sum_S, score_with(want, batch_).sum_S), 1e-10);
    EXPECT_FALSE(reference.logps(batch_).sum_S.requires_grad());
  }
}

TEST_P(Moving, RowsMoveToo) {
  const auto policy = adapted(at::kDouble);
  MovingReference reference(base_copy(*policy), *policy, GetParam(), {.divergence = true});
  const at::Tensor before = reference.rows(batch_).h_CD;
  reference.sync();
  EXPECT_GT(difference(reference.rows(batch_).h_CD, before), 1e-3);
}

// In f32, and with weights that are kept in bf16, of which small updates would get lost.
TEST_P(Moving, GoesOnFromItsFileToTheBit) {
  const fs::path file = fs::path(testing::TempDir()) / "moving_reference.safetensors";
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    fs::remove(file);
    const auto load_in = [&] {
      return model::load_model(model::open_model(golden("models/qwen3")), dtype);
    };
    const auto policy = load_in();
    tests::add_golden_lora(*policy, "qwen3", at::kFloat);
    MovingReference whole(base_copy(*policy), *policy, GetParam());
    whole.save(file);
    EXPECT_FALSE(fs::exists(file));  // nothing has changed yet
    whole.sync();
    train(*policy, 1e-3);
    whole.sync();
    whole.save(file);
    MovingReference resumed(base_copy(*policy), *policy, GetParam());
    resumed.restore(file);
    EXPECT_TRUE(same_bits(resumed.logps(batch_).sum_S, whole.logps(batch_).sum_S));
    train(*policy, 1e-3);
    whole.sync();
    resumed.sync();
    EXPECT_TRUE(same_bits(resumed.logps(batch_).sum_S, whole.logps(batch_).sum_S));
  }
  fs::remove(file);
}

TEST(MovingReference, AnotherShapeIsRefused) {
  const auto policy = tests::load(golden("models/qwen3"));
  EXPECT_THAT(tests::error_of(
                  [&] { MovingReference(tests::load(golden("models/smollm2")), *policy, 0.5); }),
              testing::HasSubstr("reference.sync_every mixes the policy's weights"));
}

/// Says what it was told.
class Fixed : public Reference {
 public:
  Fixed(std::vector<double> sums, std::vector<double> tokens)
      : sum_S_(at::tensor(sums, at::kDouble)), token_C_(at::tensor(tokens, at::kDouble)) {}
  SequenceLogps logps(const PreferenceBatch& batch) override {
    return {.sum_S = sum_S_, .count_S = batch.count_S, .token_C = token_C_};
  }

 private:
  at::Tensor sum_S_, token_C_;
};

std::vector<WeightedReference> two_shares() {
  std::vector<WeightedReference> shares;
  shares.push_back({std::make_unique<Fixed>(std::vector<double>{std::log(0.2), std::log(0.5)},
                                            std::vector<double>{-1, -2, -3}),
                    0.75});
  shares.push_back({std::make_unique<Fixed>(std::vector<double>{std::log(0.4), std::log(0.1)},
                                            std::vector<double>{-5, -2, 1}),
                    0.25});
  return shares;
}

// 0.75 log 0.2 + 0.25 log 0.4 = -1.4361..., 0.75 log 0.5 + 0.25 log 0.1
TEST(MixedReference, GeometricIsTheWeightedMeanOfTheLogProbs) {
  const auto reference = mixed_reference(two_shares(), Mix::kGeometric);
  const SequenceLogps got = reference->logps(PreferenceBatch{});
  const auto sums = numbers(got.sum_S);
  EXPECT_NEAR(sums[0], 0.75 * std::log(0.2) + 0.25 * std::log(0.4), 1e-14);
  EXPECT_NEAR(sums[1], 0.75 * std::log(0.5) + 0.25 * std::log(0.1), 1e-14);
  EXPECT_EQ(numbers(got.token_C), (std::vector<double>{-2, -2, -2}));
  EXPECT_THROW(static_cast<void>(reference->rows(PreferenceBatch{})), InternalError);
}

// 1 / (0.75 / 0.2 + 0.25 / 0.4) = 1 / 4.375, 1 / (0.75 / 0.5 + 0.25 / 0.1) = 1 / 4
TEST(MixedReference, HarmonicIsTheWeightedHarmonicMeanOfTheProbabilities) {
  const SequenceLogps got = mixed_reference(two_shares(), Mix::kHarmonic)->logps(PreferenceBatch{});
  const auto sums = numbers(got.sum_S);
  EXPECT_NEAR(sums[0], -std::log(4.375), 1e-14);
  EXPECT_NEAR(sums[1], -std::log(4.0), 1e-14);
  EXPECT_FALSE(got.token_C.defined());
}

// Where the references agree, the mixture is what they say.
TEST(MixedReference, OfOneModelTwiceIsThatModel) {
  const PreferenceBatch batch = tests::GoldenGroups().cut(1 << 20)[0];
  const auto model = tests::load(golden("models/qwen3"), at::kDouble);
  const SequenceLogps want = score(*model, batch, {}, {.needs = kTokens});
  for (const Mix mix : {Mix::kGeometric, Mix::kHarmonic}) {
    std::vector<WeightedReference> shares;
    shares.push_back({base_reference(*model, kTokens), 0.3});
    shares.push_back({base_reference(*model, kTokens), 0.7});
    const SequenceLogps got = mixed_reference(std::move(shares), mix)->logps(batch);
    EXPECT_LE(difference(got.sum_S, want.sum_S), 1e-10);
    if (mix == Mix::kGeometric) {
      EXPECT_LE(difference(got.token_C, want.token_C), 1e-12);
    }
  }
}

// The optimum of E[r] - beta sum_k a_k KL(pi || pi_k) over four answers is
//   pi(y) ~ exp(sum_k a_k log pi_k(y) + r(y) / beta):
// no step from it, of any size, makes the objective larger.
TEST(MixedReference, GeometricIsTheReferenceOfTheWeightedPenalties) {
  const std::vector<double> one{0.1, 0.2, 0.3, 0.4};
  const std::vector<double> two{0.55, 0.05, 0.25, 0.15};
  const std::vector<double> r{1.0, -0.5, 0.25, 0.7};
  const double beta = 0.4;
  std::vector<double> log_one, log_two;
  for (size_t y = 0; y < 4; ++y) {
    log_one.push_back(std::log(one[y]));
    log_two.push_back(std::log(two[y]));
  }
  std::vector<WeightedReference> shares;
  shares.push_back({std::make_unique<Fixed>(log_one, log_one), 0.6});
  shares.push_back({std::make_unique<Fixed>(log_two, log_two), 0.4});
  const auto mixed =
      numbers(mixed_reference(std::move(shares), Mix::kGeometric)->logps(PreferenceBatch{}).sum_S);
  const auto normalised = [](std::vector<double> p) {
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) {
      x /= sum;
    }
    return p;
  };
  const auto objective = [&](const std::vector<double>& p) {
    double value = 0;
    for (size_t y = 0; y < 4; ++y) {
      value +=
          p[y] * (r[y] - beta * (0.6 * std::log(p[y] / one[y]) + 0.4 * std::log(p[y] / two[y])));
    }
    return value;
  };
  std::vector<double> best;
  for (size_t y = 0; y < 4; ++y) {
    best.push_back(std::exp(mixed[y] + r[y] / beta));
  }
  best = normalised(best);
  RandomStream random(11);
  for (int i = 0; i < 200; ++i) {
    std::vector<double> near = best;
    for (double& x : near) {
      x *= std::exp(0.2 * (random.uniform() - 0.5));
    }
    EXPECT_LT(objective(normalised(near)), objective(best));
  }
}

}  // namespace
}  // namespace attune::train
