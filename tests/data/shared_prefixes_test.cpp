#include "attune/data/shared_prefixes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::data {
namespace {

using ::testing::ElementsAre;

SharedPrefixes share(const std::vector<std::vector<int32_t>>& prompts) {
  return share_prefixes(std::vector<std::span<const int32_t>>(prompts.begin(), prompts.end()));
}

TEST(SharedPrefixes, RunsOfThreeTokensAreNotMade) {
  const SharedPrefixes tree = share({{1, 2, 3, 9}, {1, 2, 3, 8}, {1, 2, 3}, {7}});
  EXPECT_TRUE(tree.runs.empty());
  EXPECT_THAT(tree.run_of, ElementsAre(-1, -1, -1, -1));
}

TEST(SharedPrefixes, RunsGoOnWhereFourTokensMoreAreShared) {
  const SharedPrefixes tree = share({{1, 2, 3, 4, 5, 6, 7, 8, 9},  // goes on after the first run
                                     {1, 2, 3, 4, 20},             // leaves after it
                                     {1, 2, 3, 4, 5, 6, 7, 8},     // ends with the second
                                     {1, 2, 3, 4, 20, 21, 22}});   // shares one token more only
  EXPECT_THAT(tree.runs, ElementsAre(SharedRun{-1, 2, 0, 4}, SharedRun{0, 2, 4, 8}));
  EXPECT_THAT(tree.run_of, ElementsAre(1, 0, 1, 0));
}

}  // namespace
}  // namespace attune::data
