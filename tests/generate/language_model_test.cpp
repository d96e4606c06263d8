#include "attune/generate/language_model.h"

#include <algorithm>
#include <map>
#include <set>

#include <ATen/ops/empty.h>

#include "attune/model/decoder.h"

#include "tests/tensor/golden.h"

namespace attune::generate {
namespace {

using tests::error_of;
using tests::golden;

LanguageModel model(const std::string& precision, const std::string& adapter = "") {
  model::ModelOptions options;
  options.path = golden("trl_curve/model").string();
  options.precision = precision;
  return {options, adapter.empty() ? "" : golden(adapter).string(), /*threads=*/2};
}

// Short prompts and, beyond the rows that one pass takes row by row, long ones.
std::vector<std::vector<int32_t>> prompts() {
  std::vector<std::vector<int32_t>> all;
  for (const size_t length : {1, 5, 32, 33, 71, 2, 67}) {
    std::vector<int32_t>& ids = all.emplace_back();
    for (size_t i = 0; i < length; ++i) {
      ids.push_back(static_cast<int32_t>((17 * all.size() + 7 * i) % 199));
    }
  }
  return all;
}

class Generate : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Precisions, Generate, testing::Values("f32", "bf16"));

TEST_P(Generate, ATextDoesNotDependOnTheOthers) {
  LanguageModel writer = model(GetParam());
  const auto all = prompts();
  const GenerateOptions options{.max_new_tokens = 19, .temperature = 0};
  const std::vector<Generation> together = writer.generate(all, options);
  std::set<std::vector<int32_t>> different;
  for (size_t i = 0; i < all.size(); ++i) {
    const std::vector<Generation> alone = writer.generate({&all[i], 1}, options);
    EXPECT_EQ(alone[0].ids, together[i].ids) << i;
    EXPECT_EQ(alone[0].text, together[i].text) << i;
    different.insert(together[i].ids);
  }
  EXPECT_GT(different.size(), 3U);
}

TEST_P(Generate, ASampledTextDoesNotDependOnTheBatch) {
  LanguageModel writer = model(GetParam(), "trl_curve/adapter_end");
  const auto all = prompts();
  const GenerateOptions options{.max_new_tokens = 23, .temperature = 1.5, .top_p = 0.9};
  const std::vector<Generation> expected = writer.generate(all, options);
  for (const int64_t batch : {1, 2, 3}) {
    std::map<size_t, std::vector<int32_t>> done;
    const std::vector<Generation> got = writer.generate(
        all, options, {}, {.batch = batch, .on_done = [&](size_t i, const Generation& one) {
                             EXPECT_TRUE(done.emplace(i, one.ids).second) << "done twice";
                           }});
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(got[i].ids, expected[i].ids) << batch << ": " << i;
      EXPECT_EQ(done.at(i), expected[i].ids) << batch << ": " << i;
    }
  }
}

TEST_P(Generate, AnEarlierPromptsBeginningChangesNoText) {
  GenerateOptions options;
  options.max_new_tokens = 13;
  options.temperature = 0;
  const std::vector<std::vector<int32_t>> first{prompts()[4]};
  LanguageModel writer = model(GetParam());
  std::vector<std::vector<int32_t>> second = first;
  const std::vector<int32_t> began = writer.generate(first, options)[0].ids;
  second[0].insert(second[0].end(), began.begin(), began.end());
  second[0].insert(second[0].end(), {3, 1, 4, 1, 5});
  const std::vector<int32_t> went_on = writer.generate(second, options)[0].ids;
  LanguageModel fresh = model(GetParam());
  EXPECT_EQ(went_on, fresh.generate(second, options)[0].ids);
}

// 37 rows of a prompt are in the cache, and more than kFewRows come behind them.
TEST_P(Generate, AnAnswerToASecondLongTurnIsThatOfAFreshStart) {
  const GenerateOptions options{.max_new_tokens = 13, .temperature = 0};
  std::vector<int32_t> first;
  for (int32_t i = 0; i < 37; ++i) {
    first.push_back((7 * i + 5) % 199);
  }
  std::vector<int32_t> second = first;
  for (int32_t i = 0; i < 101; ++i) {
    second.push_back((11 * i + 3) % 199);
  }
  LanguageModel writer = model(GetParam());
  writer.generate({&first, 1}, options);
  LanguageModel fresh = model(GetParam());
  EXPECT_EQ(writer.generate({&second, 1}, options)[0].ids,
            fresh.generate({&second, 1}, options)[0].ids);
}

TEST_P(Generate, WhatIsWrittenIsTheLikeliestByTheTape) {
  LanguageModel writer = model(GetParam());
  const std::vector<std::vector<int32_t>> one{prompts()[4]};
  const std::vector<Generation> got =
      writer.generate(one, {.max_new_tokens = 11, .temperature = 0});
  ASSERT_FALSE(got[0].ids.empty());
  std::vector<int32_t> text = one[0];
  text.insert(text.end(), got[0].ids.begin(), got[0].ids.end());
  const auto N = static_cast<int64_t>(text.size());
  const at::Tensor tokens_N = at::empty({N}, at::kLong);
  const at::Tensor positions_N = at::empty({N}, at::kLong);
  for (int64_t i = 0; i < N; ++i) {
    tokens_N.data_ptr<int64_t>()[i] = text[static_cast<size_t>(i)];
    positions_N.data_ptr<int64_t>()[i] = i;
  }
  auto tree = std::make_shared<tensor::Tree>();
  tree->segments.push_back({0, N, -1});
  model::TreeAttention attention(tree);
  model::Decoder& decoder = writer.decoder();
  const at::Tensor logits_NV =
      decoder.logits(decoder.forward(tokens_N, positions_N, attention, {}));
  const auto V = logits_NV.size(1);
  const at::Tensor flat = logits_NV.detach().contiguous();
  for (int64_t i = static_cast<int64_t>(one[0].size()) - 1; i + 1 < N; ++i) {
    const float* const row = flat.const_data_ptr<float>() + i * V;
    const float written = row[text[static_cast<size_t>(i) + 1]];
    EXPECT_GE(written, *std::max_element(row, row + V) - 1e-4F) << i;
  }
}

TEST(GenerateHearing, StopsWhereItIsTold) {
  LanguageModel writer = model("f32");
  int64_t heard = 0;
  const auto got = writer.generate(prompts(),
                                   {.max_new_tokens = 19, .temperature = 0},
                                   [&](size_t, const std::string&) { return ++heard < 10; });
  size_t tokens = 0;
  for (const Generation& one : got) {
    tokens += one.ids.size();
  }
  EXPECT_GE(tokens, 10U);
  EXPECT_LT(tokens, 10U + 2 * prompts().size());
}

TEST(GenerateErrors, NameThePrompt) {
  LanguageModel writer = model("f32");
  const std::vector<std::vector<int32_t>> empty{{1, 2}, {}};
  EXPECT_EQ(error_of([&] { writer.generate(empty, {}); }), "prompt 2: it is empty");
  const std::vector<std::vector<int32_t>> full{
      std::vector<int32_t>(static_cast<size_t>(writer.max_tokens()), 5)};
  EXPECT_THAT(error_of([&] { writer.generate(full, {}); }),
              testing::HasSubstr("prompt 1: 512 tokens leave no room for an answer"));
}

}  // namespace
}  // namespace attune::generate
