#include "attune/report/histogram.h"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::report {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Bins, AValueOnAnEdgeBelongsToTheBinRightOfIt) {
  const Bins bins{.edges = {0, 1, 2, 3}};
  EXPECT_THAT(bins.counts({0, 0.5, 1, 2, 2.5, 3}), ElementsAre(2, 1, 3));  // 3: the last edge
}

TEST(Bins, EveryFiniteValueIsCountedOnce) {
  std::vector<double> left;
  std::vector<double> right;
  for (int i = 0; i < 997; ++i) {
    left.push_back(std::sin(i) * 3.7);
    right.push_back(std::cos(i) * 0.1 + 11.3);
  }
  right.push_back(std::nan(""));
  right.push_back(INFINITY);
  const Bins bins = bins_for({&left, &right});
  for (const auto* group : {&left, &right}) {
    const auto counts = bins.counts(*group);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 997);
  }
  EXPECT_GE(bins.edges.size(), 8U);
  EXPECT_LE(bins.edges.size(), 68U);
}

TEST(Bins, IdenticalValuesGetOneBin) {
  for (const double value : {0.0, -0.25, 7.0, 1e15, 1e-300, -5e-324}) {
    const std::vector<double> values(13, value);
    const Bins bins = bins_for({&values});
    const auto counts = bins.counts(values);
    EXPECT_LE(counts.size(), 2U) << value;
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 13) << value;
  }
}

TEST(Bins, TinyAndHugeRangesEnd) {
  for (const std::vector<double>& values :
       {std::vector<double>{0, 5e-324}, {-1e-99, 1e-99}, {-1e100, 1e100}, {1e15, 1e15 + 2}}) {
    const auto counts = bins_for({&values}).counts(values);
    EXPECT_LE(counts.size(), 70U);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 2);
  }
}

TEST(Bins, NoValuesNoBins) {
  const std::vector<double> none;
  const std::vector<double> missing{std::nan(""), 1e300};
  EXPECT_THAT(bins_for({}).edges, IsEmpty());
  EXPECT_THAT(bins_for({&none, &missing}).edges, IsEmpty());
  EXPECT_THAT(bins_for({&none}).counts({1, 2}), IsEmpty());
}

TEST(Bins, CountsOfTokensAreNotCutFinerThanOne) {
  const std::vector<double> lengths{3, 4, 4, 5, 5, 5, 6, 7};
  const Bins bins = bins_for({&lengths}, 1);
  EXPECT_THAT(bins.edges, ElementsAre(3, 4, 5, 6, 7));
  EXPECT_THAT(bins.counts(lengths), ElementsAre(1, 2, 3, 2));
}

TEST(Median, OddEvenAndNone) {
  EXPECT_EQ(median({5, 1, 3}), 3);
  EXPECT_EQ(median({7, 1, 3, 5}), 4);
  EXPECT_EQ(median({std::nan(""), 2}), 2);
  EXPECT_TRUE(std::isnan(median({})));
}

}  // namespace
}  // namespace attune::report
