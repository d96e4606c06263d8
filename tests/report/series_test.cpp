#include "attune/report/series.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::report {
namespace {

TEST(Downsample, ExtremesAreKept) {
  std::vector<Point> points;
  for (int i = 0; i < 10007; ++i) {
    points.push_back({i * 1.0, std::sin(i * 0.37)});
  }
  points[4999].y = 23;
  points[7013].y = -29;
  const auto buckets = downsample(points, 101);
  EXPECT_EQ(buckets.size(), 101U);
  double low = 0;
  double high = 0;
  for (const Bucket& bucket : buckets) {
    low = std::min(low, bucket.low);
    high = std::max(high, bucket.high);
    EXPECT_LE(bucket.low, bucket.mean);
    EXPECT_LE(bucket.mean, bucket.high);
  }
  EXPECT_EQ(low, -29);
  EXPECT_EQ(high, 23);
}

TEST(Downsample, EachPointIsInOneBucket) {
  // 7 points in 3 buckets: 0 1 | 2 3 | 4 5 6.
  std::vector<Point> points;
  for (int i = 0; i < 7; ++i) {
    points.push_back({i * 1.0, i * 10.0});
  }
  const auto buckets = downsample(points, 3);
  ASSERT_EQ(buckets.size(), 3U);
  EXPECT_DOUBLE_EQ(buckets[0].mean, 5);
  EXPECT_DOUBLE_EQ(buckets[1].mean, 25);
  EXPECT_DOUBLE_EQ(buckets[2].mean, 50);
  EXPECT_DOUBLE_EQ(buckets[2].x, 5);
}

TEST(Downsample, FewPointsStayAndTheMissingAreLeftOut) {
  const auto buckets = downsample({{1, 3}, {2, std::nan("")}, {3, INFINITY}, {4, 5}}, 100);
  ASSERT_EQ(buckets.size(), 2U);
  EXPECT_EQ(buckets[1].x, 4);
  EXPECT_EQ(buckets[1].mean, 5);
  EXPECT_TRUE(downsample({}, 100).empty());
}

TEST(RunningMean, TheWindowIsCutOffAtTheEnds) {
  const auto means = running_mean({{1, 1}, {2, 2}, {3, 6}, {4, 7}, {5, 14}}, 3);
  ASSERT_EQ(means.size(), 5U);
  EXPECT_DOUBLE_EQ(means[0].y, 1.5);   // (1 + 2) / 2
  EXPECT_DOUBLE_EQ(means[1].y, 3);     // (1 + 2 + 6) / 3
  EXPECT_DOUBLE_EQ(means[4].y, 10.5);  // (7 + 14) / 2
  EXPECT_EQ(means[4].x, 5);
}

}  // namespace
}  // namespace attune::report
