#include "attune/data/packed_batch.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"
#include "attune/core/random.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;

EncodedGroup random_group(RandomStream& random) {
  const auto ids = [&random](uint64_t most) {
    std::vector<int32_t> list(1 + random.below(most));
    for (int32_t& id : list) {
      id = static_cast<int32_t>(random.below(1000));
    }
    return list;
  };
  EncodedGroup group;
  group.prompt = ids(11);
  const auto K = static_cast<int32_t>(1 + random.below(5));
  for (int32_t k = 0; k < K; ++k) {
    group.completions.push_back(ids(7));
  }
  for (int32_t k = 1; k < K; ++k) {
    group.comparisons.push_back({k, k - 1, 0.75F, static_cast<float>(k)});
  }
  group.key = content_key(group);
  return group;
}

/// The groups again, from nothing but the packed numbers.
std::vector<EncodedGroup> unpack(const PackedBatch& batch) {
  std::vector<EncodedGroup> groups(batch.groups.size());
  std::vector<int32_t> ordinal(batch.sequences.size());
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const auto [segment, g] = batch.sequences[s];
    const auto text = [&batch](const Segment& x) {
      return std::vector<int32_t>(batch.tokens.begin() + x.begin, batch.tokens.begin() + x.end);
    };
    groups[g].prompt.clear();
    for (int32_t at = batch.segments[segment].parent; at >= 0; at = batch.segments[at].parent) {
      const std::vector<int32_t> part = text(batch.segments[at]);
      groups[g].prompt.insert(groups[g].prompt.begin(), part.begin(), part.end());
    }
    ordinal[s] = static_cast<int32_t>(groups[g].completions.size());
    groups[g].completions.push_back(text(batch.segments[segment]));
  }
  for (size_t p = 0; p < batch.winner.size(); ++p) {
    groups[batch.sequences[batch.winner[p]].group].comparisons.push_back(
        {ordinal[batch.winner[p]], ordinal[batch.loser[p]], batch.probability[p], batch.weight[p]});
  }
  for (EncodedGroup& group : groups) {
    group.key = content_key(group);
  }
  return groups;
}

TEST(Pack, TwoGroupsWorkedByHand) {
  EncodedGroup a{.prompt = {10, 11, 12}, .completions = {{20, 21}, {30}}, .comparisons = {{1, 0}}};
  EncodedGroup b{.prompt = {40}, .completions = {{50, 51}}, .comparisons = {}};
  const std::vector<EncodedGroup> groups{a, b};
  const PackedBatch batch = pack(groups, std::vector<int64_t>{17, 5});

  EXPECT_THAT(batch.tokens, ElementsAre(10, 11, 12, 20, 21, 30, 40, 50, 51));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 2, 3, 4, 3, 0, 1, 2));
  EXPECT_THAT(batch.segments,
              ElementsAre(Segment{0, 3, -1},
                          Segment{3, 5, 0},
                          Segment{5, 6, 0},
                          Segment{6, 7, -1},
                          Segment{7, 9, 3}));
  EXPECT_THAT(batch.sequences, ElementsAre(Sequence{1, 0}, Sequence{2, 0}, Sequence{4, 1}));
  // The prompt's last token (row 2) predicts the first token of both of its completions.
  EXPECT_THAT(batch.row, ElementsAre(2, 3, 2, 6, 7));
  EXPECT_THAT(batch.label, ElementsAre(20, 21, 30, 50, 51));
  EXPECT_THAT(batch.row_sequence, ElementsAre(0, 0, 1, 2, 2));
  EXPECT_THAT(batch.winner, ElementsAre(1));
  EXPECT_THAT(batch.loser, ElementsAre(0));
  EXPECT_THAT(batch.groups, ElementsAre(17, 5));
}

TEST(Pack, PackThenUnpackIsTheSame) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed);
    std::vector<EncodedGroup> groups(1 + random.below(9));
    std::generate(groups.begin(), groups.end(), [&random] { return random_group(random); });
    const std::vector<EncodedGroup> again = unpack(pack(groups));
    ASSERT_EQ(again.size(), groups.size()) << "seed " << seed;
    for (size_t g = 0; g < groups.size(); ++g) {
      EXPECT_EQ(again[g].prompt, groups[g].prompt) << "seed " << seed;
      EXPECT_EQ(again[g].completions, groups[g].completions) << "seed " << seed;
      EXPECT_EQ(again[g].comparisons, groups[g].comparisons) << "seed " << seed;
      EXPECT_EQ(again[g].key, groups[g].key) << "seed " << seed;
    }
  }
}

/// Prompts that begin with some of the tokens of one another.
std::vector<EncodedGroup> related_groups(RandomStream& random, size_t count) {
  std::vector<EncodedGroup> groups(count);
  for (size_t g = 0; g < count; ++g) {
    groups[g] = random_group(random);
    if (g > 0) {
      const std::vector<int32_t>& other = groups[random.below(g)].prompt;
      const size_t keep = std::min<size_t>(other.size(), random.below(13));
      std::vector<int32_t> prompt(other.begin(), other.begin() + static_cast<int64_t>(keep));
      if (keep == 0 || random.below(3) > 0) {
        prompt.insert(prompt.end(), groups[g].prompt.begin(), groups[g].prompt.end());
      }
      groups[g].prompt = prompt;
      groups[g].key = content_key(groups[g]);
    }
  }
  return groups;
}

TEST(Pack, WhatPromptsBeginWithIsThereOnce) {
  EncodedGroup a{.prompt = {1, 2, 3, 4, 5}, .completions = {{20}, {21}}, .comparisons = {{0, 1}}};
  EncodedGroup b{.prompt = {9}, .completions = {{22}}};
  EncodedGroup c{.prompt = {1, 2, 3, 4, 6, 7}, .completions = {{23, 24}}};
  EncodedGroup d{.prompt = {1, 2, 3, 4}, .completions = {{25}}};
  const PackedBatch batch = pack(std::vector<EncodedGroup>{a, b, c, d});
  EXPECT_THAT(batch.tokens, ElementsAre(1, 2, 3, 4, 5, 20, 21, 9, 22, 6, 7, 23, 24, 25));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 2, 3, 4, 5, 5, 0, 1, 4, 5, 6, 7, 4));
  EXPECT_THAT(batch.segments,
              ElementsAre(Segment{0, 4, -1},
                          Segment{4, 5, 0},
                          Segment{5, 6, 1},
                          Segment{6, 7, 1},
                          Segment{7, 8, -1},
                          Segment{8, 9, 4},
                          Segment{9, 11, 0},
                          Segment{11, 13, 6},
                          Segment{13, 14, 0}));
  // d's prompt is what a, c and d share: its last token predicts d's completion.
  EXPECT_THAT(batch.row, ElementsAre(4, 4, 7, 10, 11, 3));
  EXPECT_THAT(batch.label, ElementsAre(20, 21, 22, 23, 24, 25));
}

TEST(Pack, PromptsThatShareTokensUnpackToTheSameAndTakeFewer) {
  int64_t saved = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed);
    const std::vector<EncodedGroup> groups = related_groups(random, 1 + random.below(9));
    const PackedBatch batch = pack(groups);
    const std::vector<EncodedGroup> again = unpack(batch);
    for (size_t g = 0; g < groups.size(); ++g) {
      EXPECT_EQ(again[g].prompt, groups[g].prompt) << "seed " << seed;
      EXPECT_EQ(again[g].completions, groups[g].completions) << "seed " << seed;
      saved += groups[g].num_tokens();
    }
    saved -= batch.num_tokens();
    for (size_t s = 0; s < batch.segments.size(); ++s) {
      const Segment& own = batch.segments[s];
      EXPECT_LT(own.begin, own.end);
      EXPECT_LT(own.parent, static_cast<int32_t>(s));
      EXPECT_EQ(batch.positions[own.begin],
                own.parent < 0 ? 0 : batch.positions[batch.segments[own.parent].end - 1] + 1);
    }
  }
  EXPECT_GT(saved, 1000);
}

TEST(Pack, ARowsKeyIsTheSameInAnyPacking) {
  // By what the row is: a position of a group's prompt, or of one of its completions.
  using Place = std::tuple<size_t, int32_t, int32_t>;
  const auto keys_of = [](const PackedBatch& batch, size_t g, size_t name) {
    std::map<Place, uint64_t> keys;
    int32_t ordinal = 0;
    for (const Sequence& sequence : batch.sequences) {
      if (static_cast<size_t>(sequence.group) != g) {
        continue;
      }
      ++ordinal;
      for (int32_t s = sequence.segment; s >= 0; s = batch.segments[s].parent) {
        for (int32_t at = batch.segments[s].begin; at < batch.segments[s].end; ++at) {
          keys[{name, s == sequence.segment ? ordinal : 0, batch.positions[at]}] =
              batch.row_keys[at];
        }
      }
    }
    return keys;
  };
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RandomStream random(seed);
    const std::vector<EncodedGroup> groups = related_groups(random, 7);
    const PackedBatch together = pack(groups);
    for (size_t g = 0; g < groups.size(); ++g) {
      const PackedBatch alone = pack(std::vector<EncodedGroup>{groups[g]});
      EXPECT_EQ(keys_of(together, g, g), keys_of(alone, 0, g)) << "seed " << seed;
    }
  }
}

TEST(Pack, RowsThatAreNotTheSameTextHaveKeysOfTheirOwn) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RandomStream random(seed);
    std::vector<EncodedGroup> groups(5);
    for (size_t g = 0; g < groups.size(); ++g) {
      groups[g] = random_group(random);
      groups[g].prompt[0] = static_cast<int32_t>(1000 + g);
    }
    const PackedBatch batch = pack(groups);
    const std::set<uint64_t> different(batch.row_keys.begin(), batch.row_keys.end());
    EXPECT_EQ(different.size(), batch.row_keys.size()) << "seed " << seed;
  }
}

TEST(Pack, ABrokenGroupIsAnInternalError) {
  const EncodedGroup good{.prompt = {1, 2}, .completions = {{3}, {4}}, .comparisons = {{0, 1}}};
  EXPECT_EQ(pack(std::vector<EncodedGroup>{good}).num_comparisons(), 1);
  EncodedGroup no_prompt = good;
  no_prompt.prompt.clear();
  EncodedGroup no_text = good;
  no_text.completions[1].clear();
  EncodedGroup wild = good;
  wild.comparisons[0].loser = 2;
  for (const EncodedGroup& bad : {no_prompt, no_text, wild}) {
    EXPECT_THROW(pack(std::vector<EncodedGroup>{bad}), InternalError);
  }
}

TEST(SplitByTokens, AsManyAsBestFitMakesAndOfLikeSizeByHand) {
  // Budget 10, by size 7 6 4 3 3: best fit {7, 3} {6, 4} {3}; three of like size {7} {6, 3} {4, 3}.
  const std::vector<int64_t> sizes{3, 7, 4, 6, 3};
  EXPECT_THAT(split_by_tokens(sizes, 10),
              ElementsAre(ElementsAre(0, 2), ElementsAre(1), ElementsAre(3, 4)));
}

TEST(SplitByTokens, WhatFitsOnlyUnevenlyIsPackedFull) {
  // Budget 12: {6, 6} {4, 4, 4}; the smallest first would make {6, 4} {6, 4} and 4 over 12.
  const std::vector<int64_t> sizes{6, 4, 6, 4, 4};
  EXPECT_THAT(split_by_tokens(sizes, 12), ElementsAre(ElementsAre(0, 2), ElementsAre(1, 3, 4)));
}

TEST(SplitByTokens, AGroupLargerThanTheBudgetStandsAlone) {
  const std::vector<int64_t> sizes{2, 23, 3};
  EXPECT_THAT(split_by_tokens(sizes, 7), ElementsAre(ElementsAre(0, 2), ElementsAre(1)));
}

TEST(SplitByTokens, AMillionGroupsTakeNoSquareOfTheTime) {
  std::vector<int64_t> sizes(1'000'003);
  RandomStream random(7);
  for (int64_t& size : sizes) {
    size = static_cast<int64_t>(101 + random.below(400));
  }
  const auto batches = split_by_tokens(sizes, 1024);  // hours if each looked at all others
  const double mean = std::accumulate(sizes.begin(), sizes.end(), 0.0) / 1024.0;
  EXPECT_LT(static_cast<double>(batches.size()), 1.03 * mean);
}

TEST(SplitByTokens, EveryBudgetKeepsTheMembers) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed);
    std::vector<int64_t> sizes(random.below(40));
    for (int64_t& size : sizes) {
      size = static_cast<int64_t>(1 + random.below(97));
    }
    const auto budget = static_cast<int64_t>(1 + random.below(200));
    const auto batches = split_by_tokens(sizes, budget);
    EXPECT_EQ(batches, split_by_tokens(sizes, budget)) << "seed " << seed;
    std::vector<size_t> members;
    for (const std::vector<size_t>& batch : batches) {
      int64_t total = 0;
      for (const size_t group : batch) {
        total += sizes[group];
      }
      EXPECT_TRUE(total <= budget || batch.size() == 1) << "seed " << seed;
      members.insert(members.end(), batch.begin(), batch.end());
    }
    std::sort(members.begin(), members.end());
    std::vector<size_t> all(sizes.size());
    std::iota(all.begin(), all.end(), size_t{0});
    EXPECT_EQ(members, all) << "seed " << seed;
  }
}

}  // namespace
}  // namespace attune::data
