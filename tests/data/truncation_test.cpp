#include "attune/data/truncation.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/random.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;

EncodedGroup group_of(int prompt, std::vector<int> completions) {
  EncodedGroup group;
  group.prompt.resize(static_cast<size_t>(prompt));
  std::iota(group.prompt.begin(), group.prompt.end(), 1);
  for (const int size : completions) {
    group.completions.emplace_back(size, 90 + size);
  }
  return group;
}

TEST(Truncation, WhatFitsStaysAsItIs) {
  EncodedGroup group = group_of(5, {2, 3});
  const Truncation result = truncate(group, {.max_tokens = 8}, std::nullopt);
  EXPECT_FALSE(result.cut);
  EXPECT_EQ(group.num_tokens(), 10);
}

TEST(Truncation, ThePromptLosesItsBeginningAndKeepsItsBeginToken) {
  // 7 + 3 > 8: the prompt keeps 5 of 1..7.
  EncodedGroup group = group_of(7, {2, 3});
  EXPECT_TRUE(truncate(group, {.max_tokens = 8}, std::nullopt).cut);
  EXPECT_THAT(group.prompt, ElementsAre(3, 4, 5, 6, 7));
  EXPECT_EQ(group.completions[1].size(), 3U);
  group = group_of(7, {2, 3});
  truncate(group, {.max_tokens = 8}, 1);
  EXPECT_THAT(group.prompt, ElementsAre(1, 4, 5, 6, 7));
  group = group_of(7, {2, 7});
  truncate(group, {.max_tokens = 8}, 1);
  EXPECT_THAT(group.prompt, ElementsAre(7));
}

TEST(Truncation, OtherPartsGiveWayIfTold) {
  EncodedGroup group = group_of(7, {2, 3});
  truncate(group, {.max_tokens = 8, .truncation = "prompt_right"}, std::nullopt);
  EXPECT_THAT(group.prompt, ElementsAre(1, 2, 3, 4, 5));
  group = group_of(6, {1, 4});
  truncate(group, {.max_tokens = 8, .truncation = "completion_right"}, std::nullopt);
  EXPECT_EQ(group.prompt.size(), 6U);
  EXPECT_EQ(group.completions[0].size(), 1U);
  EXPECT_EQ(group.completions[1].size(), 2U);
  group = group_of(8, {1, 4});
  EXPECT_EQ(
      truncate(group, {.max_tokens = 8, .truncation = "completion_right"}, std::nullopt).dropped,
      "the prompt alone fills the 8 tokens");
  group = group_of(7, {2, 3});
  EXPECT_EQ(truncate(group, {.max_tokens = 8, .truncation = "drop"}, std::nullopt).dropped,
            "prompt and completion are longer than 8 tokens");
}

TEST(Truncation, ALongCompletionIsCutOrDropsTheGroup) {
  EncodedGroup group = group_of(3, {5, 11});
  EXPECT_TRUE(truncate(group, {.max_tokens = 8}, std::nullopt).cut);
  EXPECT_EQ(group.completions[1].size(), 7U);  // one token is left to the prompt
  EXPECT_THAT(group.prompt, ElementsAre(3));
  group = group_of(3, {2, 5});
  truncate(group, {.max_tokens = 20, .max_completion_tokens = 3}, std::nullopt);
  EXPECT_EQ(group.completions[0].size(), 2U);
  EXPECT_EQ(group.completions[1].size(), 3U);
  EXPECT_EQ(group.prompt.size(), 3U);
  group = group_of(3, {2, 5});
  DataOptions drop{.max_tokens = 20, .max_completion_tokens = 3};
  drop.long_completion = "drop";
  EXPECT_EQ(truncate(group, drop, std::nullopt).dropped, "a completion is longer than 3 tokens");
}

TEST(Truncation, WhateverIsKeptFitsAndHasTokens) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    RandomStream random(seed);
    EncodedGroup group =
        group_of(static_cast<int>(1 + random.below(30)),
                 {static_cast<int>(1 + random.below(30)), static_cast<int>(1 + random.below(30))});
    const std::vector<std::string> kinds{"prompt_left", "prompt_right", "completion_right", "drop"};
    DataOptions options{.max_tokens = static_cast<int64_t>(2 + random.below(30)),
                        .truncation = kinds[random.below(4)]};
    if (random.below(2) == 0) {
      options.max_completion_tokens = static_cast<int64_t>(1 + random.below(30));
    }
    const EncodedGroup before = group;
    const Truncation result = truncate(group, options, 1);
    if (!result.dropped.empty()) {
      continue;
    }
    EXPECT_EQ(result.cut, group.num_tokens() < before.num_tokens()) << "seed " << seed;
    EXPECT_FALSE(group.prompt.empty()) << "seed " << seed;
    for (const auto& completion : group.completions) {
      EXPECT_FALSE(completion.empty()) << "seed " << seed;
      EXPECT_LE(static_cast<int64_t>(group.prompt.size() + completion.size()), options.max_tokens)
          << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace attune::data
