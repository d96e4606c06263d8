#include "attune/data/packed_batch.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

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
    groups[g].prompt = text(batch.segments[batch.segments[segment].parent]);
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

TEST(Pack, ARowsKeyIsTheSameInAnyPacking) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RandomStream random(seed);
    std::vector<EncodedGroup> groups(5);
    std::generate(groups.begin(), groups.end(), [&random] { return random_group(random); });
    const PackedBatch together = pack(groups);
    const PackedBatch alone = pack(std::vector<EncodedGroup>{groups[3]});
    int32_t from = 0;
    for (int g = 0; g < 3; ++g) {
      from += static_cast<int32_t>(groups[g].num_tokens());
    }
    const std::vector<uint64_t> there(together.row_keys.begin() + from,
                                      together.row_keys.begin() + from + alone.num_tokens());
    EXPECT_EQ(there, alone.row_keys) << "seed " << seed;
    const std::set<uint64_t> different(together.row_keys.begin(), together.row_keys.end());
    EXPECT_EQ(different.size(), together.row_keys.size()) << "seed " << seed;
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

TEST(SplitByTokens, FirstFitDecreasingByHand) {
  // Budget 10, by size 7 6 4 3 3: {7, 3}, {6, 4}, {3}.
  const std::vector<int64_t> sizes{3, 7, 4, 6, 3};
  const auto batches = split_by_tokens(sizes, 10);
  EXPECT_THAT(batches, ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4)));
}

TEST(SplitByTokens, AGroupLargerThanTheBudgetStandsAlone) {
  const std::vector<int64_t> sizes{2, 23, 3};
  EXPECT_THAT(split_by_tokens(sizes, 7), ElementsAre(ElementsAre(0, 2), ElementsAre(1)));
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
