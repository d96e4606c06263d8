#include "attune/report/ticks.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::report {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

std::vector<std::string> labels_of(const Ticks& ticks) {
  std::vector<std::string> labels;
  for (const double value : ticks.at) {
    labels.push_back(ticks.label(value));
  }
  return labels;
}

TEST(Ticks, RoundNumbersAroundTheData) {
  // 0.67 / 5 = 0.134, rounded up to 0.2; 0.03 lies above 0 and 0.7 below 0.8.
  EXPECT_THAT(labels_of(ticks_for(0.03, 0.7, 5)), ElementsAre("0", "0.2", "0.4", "0.6", "0.8"));
  EXPECT_THAT(labels_of(ticks_for(-230, -142, 5)),
              ElementsAre("−240", "−220", "−200", "−180", "−160", "−140"));
  EXPECT_THAT(labels_of(ticks_for(0, 4100, 5)),
              ElementsAre("0", "1,000", "2,000", "3,000", "4,000", "5,000"));
  EXPECT_THAT(labels_of(ticks_for(0, 5e-6, 5)),
              ElementsAre("0", "1e-6", "2e-6", "3e-6", "4e-6", "5e-6"));
}

TEST(Ticks, EndsThatAreMarksAreNotPassed) {
  // 0.1 + 0.2 is 0.30000000000000004: rounding must not add a mark at 0.4.
  EXPECT_THAT(ticks_for(0, 0.1 + 0.2, 3).at, ElementsAre(0, DoubleEq(0.1), DoubleEq(0.2), 0.1 * 3));
}

TEST(Ticks, OneValueGetsRoomOnBothSides) {
  for (const double value : {0.0, 0.6931, -17.0, 1e12, 5e-324}) {
    const Ticks ticks = ticks_for(value, value, 5);
    EXPECT_LT(ticks.low(), ticks.high()) << value;
    EXPECT_LE(ticks.low(), value);
    EXPECT_GE(ticks.high(), value);
    EXPECT_LE(ticks.at.size(), 12U);
  }
}

TEST(Ticks, AnyRangeGetsAFewMarks) {
  for (const double low : {-1.7e308, -1e9, -3.3, 0.0, 1e-300, 7.7}) {
    for (const double high : {1.7e308, 1e9, 8.8, 1e-200, 7.7000001}) {
      const Ticks ticks = ticks_for(low, high, 5);
      EXPECT_GE(ticks.at.size(), 2U) << low << " " << high;
      EXPECT_LE(ticks.at.size(), 12U) << low << " " << high;
    }
  }
  EXPECT_GE(ticks_for(std::nan(""), INFINITY, 5).at.size(), 2U);
}

TEST(RoundUp, OneTwoOrFive) {
  EXPECT_DOUBLE_EQ(round_up(0.134), 0.2);
  EXPECT_DOUBLE_EQ(round_up(2), 2);
  EXPECT_DOUBLE_EQ(round_up(2.1), 5);
  EXPECT_DOUBLE_EQ(round_up(51), 100);
}

}  // namespace
}  // namespace attune::report
