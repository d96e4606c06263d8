#include "attune/data/sampler.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"
#include "attune/core/random.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(StepSampler, WithoutShufflingAStepIsARunOfTheFile) {
  // 7 groups of one comparison, 3 a step: 3 + 3 + 1.
  const StepSampler sampler(std::vector<int32_t>(7, 1), 3, false, 5, false);
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  EXPECT_THAT(sampler.groups_of(0), ElementsAre(0, 1, 2));
  EXPECT_THAT(sampler.groups_of(1), ElementsAre(3, 4, 5));
  EXPECT_THAT(sampler.groups_of(2), ElementsAre(6));
  EXPECT_THAT(sampler.groups_of(3), ElementsAre(0, 1, 2));
}

TEST(StepSampler, DropLastLeavesTheSmallStepOut) {
  const StepSampler sampler(std::vector<int32_t>(7, 1), 3, false, 5, true);
  EXPECT_EQ(sampler.steps_per_epoch(), 2);
  EXPECT_THAT(sampler.groups_of(1), ElementsAre(3, 4, 5));
  EXPECT_THAT(sampler.groups_of(2), ElementsAre(0, 1, 2));
}

TEST(StepSampler, AGroupBelongsToTheStepOfItsLastComparison) {
  // Comparisons 0..8 of three groups of 3, cut every 4: last ones are 2, 5, 8 in steps 0, 1, 2.
  const StepSampler sampler({3, 3, 3}, 4, false, 5, false);
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  EXPECT_THAT(sampler.groups_of(0), ElementsAre(0));
  EXPECT_THAT(sampler.groups_of(1), ElementsAre(1));
  EXPECT_THAT(sampler.groups_of(2), ElementsAre(2));
}

TEST(StepSampler, AnUnpairedCompletionCountsAsOne) {
  const StepSampler sampler({0, 0, 0, 0, 0}, 2, false, 5, false);
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  EXPECT_THAT(sampler.groups_of(1), ElementsAre(2, 3));
}

TEST(StepSampler, EveryGroupComesOnceAnEpochWhateverItsSize) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RandomStream random(seed);
    std::vector<int32_t> sizes(1 + random.below(60));
    for (int32_t& size : sizes) {
      size = static_cast<int32_t>(random.below(12));
    }
    const auto per_step = static_cast<int64_t>(1 + random.below(9));
    const StepSampler sampler(sizes, per_step, true, seed, false);
    for (const int64_t epoch : {0, 1, 4}) {
      std::vector<int64_t> seen;
      for (int64_t s = 0; s < sampler.steps_per_epoch(); ++s) {
        const auto groups = sampler.groups_of(epoch * sampler.steps_per_epoch() + s);
        EXPECT_FALSE(groups.empty()) << "seed " << seed << ", step " << s;
        seen.insert(seen.end(), groups.begin(), groups.end());
      }
      std::sort(seen.begin(), seen.end());
      std::vector<int64_t> all(sizes.size());
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(seen, all) << "seed " << seed << ", epoch " << epoch;
    }
  }
}

TEST(StepSampler, AStepDependsOnNothingButItsNumber) {
  const std::vector<int32_t> sizes(101, 1);
  const StepSampler walked(sizes, 7, true, 11, false);
  std::vector<std::vector<int64_t>> steps;
  for (int64_t step = 0; step < 45; ++step) {
    steps.push_back(walked.groups_of(step));
  }
  const StepSampler fresh(sizes, 7, true, 11, false);
  for (const int64_t step : {44, 3, 29, 15, 14, 0}) {
    EXPECT_EQ(fresh.groups_of(step), steps[step]) << step;
  }
}

TEST(StepSampler, SeedAndEpochEachChangeTheOrder) {
  const std::vector<int32_t> sizes(101, 1);
  const StepSampler a(sizes, 101, true, 11, false);
  const StepSampler b(sizes, 101, true, 12, false);
  EXPECT_NE(a.groups_of(0), a.groups_of(1));
  EXPECT_NE(a.groups_of(0), b.groups_of(0));
}

TEST(StepSampler, NothingToTrainOnIsAnError) {
  EXPECT_THROW(StepSampler({}, 4, true, 1, false), Error);
  try {
    StepSampler({1, 1, 1}, 4, true, 1, true);
    FAIL() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("3 comparisons, less than the 4 of one step"));
  }
}

}  // namespace
}  // namespace attune::data
