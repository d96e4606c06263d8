#include "attune/data/tag_mix.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/data/sampler.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;

/// `count[t]` groups of tag t, in an order of the seed's.
std::vector<int32_t> tags_of(const std::vector<int64_t>& count, uint64_t seed) {
  std::vector<int32_t> tags;
  for (size_t t = 0; t < count.size(); ++t) {
    tags.insert(tags.end(), static_cast<size_t>(count[t]), static_cast<int32_t>(t));
  }
  std::vector<int32_t> mixed;
  for (const int64_t i : shuffled(static_cast<int64_t>(tags.size()), seed)) {
    mixed.push_back(tags[static_cast<size_t>(i)]);
  }
  return mixed;
}

TEST(TagMix, SharesAreSizesToThePowerOfOneOverTheTemperature) {
  const std::vector<int32_t> tags = tags_of({64, 16, 4}, 3);
  // T = 1: as they are. T = 2: 8 + 4 + 2 = 14 parts of 84 groups, 6 each. T large: a third each.
  EXPECT_THAT(TagMix(tags, 1, true, 7).draws(), ElementsAre(64, 16, 4));
  EXPECT_THAT(TagMix(tags, 2, true, 7).draws(), ElementsAre(48, 24, 12));
  EXPECT_THAT(TagMix(tags, 1e9, true, 7).draws(), ElementsAre(28, 28, 28));
  EXPECT_THROW(TagMix(tags, 0.5, true, 7), Error);
}

TEST(TagMix, EveryTagIsDrawnAndTheDrawsAreTheGroups) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed);
    std::vector<int64_t> count(1 + random.below(12));
    int64_t total = 0;
    for (int64_t& one : count) {
      one = static_cast<int64_t>(1 + random.below(seed % 2 == 0 ? 9 : 900));
      total += one;
    }
    const double temperature = 1 + 20 * random.uniform();
    const TagMix mix(tags_of(count, seed), temperature, true, seed);
    int64_t drawn = 0;
    for (const int64_t draws : mix.draws()) {
      EXPECT_GE(draws, 1) << "seed " << seed;
      drawn += draws;
    }
    EXPECT_EQ(drawn, total) << "seed " << seed;
    EXPECT_EQ(static_cast<int64_t>(mix.epoch(3).size()), total) << "seed " << seed;
  }
}

TEST(TagMix, AnEpochHoldsTheDrawsOfEachTag) {
  const std::vector<int32_t> tags = tags_of({97, 13, 5}, 3);
  for (const bool shuffle : {true, false}) {
    const TagMix mix(tags, 3, shuffle, 11);
    for (const int64_t number : {0, 1, 6}) {
      std::vector<int64_t> got(3, 0);
      for (const int64_t group : mix.epoch(number)) {
        ++got[static_cast<size_t>(tags[static_cast<size_t>(group)])];
      }
      EXPECT_EQ(got, mix.draws()) << number;
    }
  }
}

TEST(TagMix, OverTheEpochsTheGroupsOfATagComeEquallyOften) {
  const std::vector<int32_t> tags = tags_of({61, 7}, 3);
  const TagMix mix(tags, 1e6, true, 11);  // 34 draws each
  std::map<int64_t, int> times;
  for (int64_t number = 0; number < 9; ++number) {
    for (const int64_t group : mix.epoch(number)) {
      ++times[group];
    }
    for (const int32_t tag : {0, 1}) {
      int least = 1 << 30;
      int most = 0;
      for (size_t g = 0; g < tags.size(); ++g) {
        if (tags[g] == tag) {
          least = std::min(least, times[static_cast<int64_t>(g)]);
          most = std::max(most, times[static_cast<int64_t>(g)]);
        }
      }
      EXPECT_LE(most - least, 1) << "epoch " << number << ", tag " << tag;
    }
  }
  EXPECT_EQ(times.size(), tags.size());
}

TEST(TagMix, IsAPureFunctionOfSeedAndEpoch) {
  const std::vector<int32_t> tags = tags_of({97, 13, 5}, 3);
  const TagMix mix(tags, 3, true, 11);
  EXPECT_EQ(mix.epoch(4), TagMix(tags, 3, true, 11).epoch(4));
  EXPECT_NE(mix.epoch(4), mix.epoch(5));
  EXPECT_NE(mix.epoch(4), TagMix(tags, 3, true, 12).epoch(4));
}

TEST(TagMix, WithoutShufflingTheTagsAreSpreadInTheOrderOfTheData) {
  // Groups 0 to 5 are of tag 0, 6 and 7 of tag 1; T large: 4 draws each.
  const TagMix mix({0, 0, 0, 0, 0, 0, 1, 1}, 1e9, false, 11);
  EXPECT_THAT(mix.epoch(0), ElementsAre(0, 6, 1, 7, 2, 6, 3, 7));
  EXPECT_THAT(mix.epoch(1), ElementsAre(4, 6, 5, 7, 0, 6, 1, 7));
}

TEST(StepSampler, MixedTagsKeepTheNumberOfStepsAndTheirSize) {
  const std::vector<int32_t> tags = tags_of({61, 7}, 3);
  const StepSampler sampler(
      std::vector<int32_t>(68, 1), 5, true, 11, false, TagMix(tags, 1e6, true, 11));
  EXPECT_EQ(sampler.steps_per_epoch(), 14);  // 68 / 5, the last of 3
  int64_t rare = 0;
  for (int64_t step = 0; step < 14; ++step) {
    const auto groups = sampler.groups_of(14 + step);
    EXPECT_EQ(groups.size(), step == 13 ? 3U : 5U);
    for (const int64_t group : groups) {
      rare += tags[static_cast<size_t>(group)];
    }
  }
  EXPECT_EQ(rare, 34);
}

TEST(StepSampler, EveryStepHasAGroupHoweverUnevenTheTagsAre) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    RandomStream random(seed);
    const std::vector<int32_t> tags = tags_of(
        {static_cast<int64_t>(1 + random.below(40)), static_cast<int64_t>(1 + random.below(5))},
        seed);
    std::vector<int32_t> sizes;
    for (const int32_t tag : tags) {
      sizes.push_back(tag == 1 ? static_cast<int32_t>(1 + random.below(30)) : 1);
    }
    const auto per_step = static_cast<int64_t>(1 + random.below(9));
    const double temperature = 1 + 9 * random.uniform();
    const StepSampler sampler(
        sizes, per_step, true, seed, false, TagMix(tags, temperature, true, seed));
    for (const int64_t epoch : {0, 3}) {
      size_t groups = 0;
      for (int64_t s = 0; s < sampler.steps_per_epoch(); ++s) {
        const auto step = sampler.groups_of(epoch * sampler.steps_per_epoch() + s);
        EXPECT_FALSE(step.empty()) << "seed " << seed << ", step " << s;
        groups += step.size();
      }
      EXPECT_EQ(groups, tags.size()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace attune::data
