#include "attune/report/interval.h"

#include <gtest/gtest.h>

#include "attune/core/error.h"

namespace attune::report {
namespace {

TEST(WilsonInterval, EightOfTenIsAsWorkedByHand) {
  // z^2 = 3.841459; centre = (8 + 1.920729) / 13.841459 = 0.716740
  // half = 1.959964 / 13.841459 * sqrt(8 * 2 / 10 + 0.960365) = 0.141601 * 1.600114 = 0.226577
  const Interval share = wilson_interval(8, 10);
  EXPECT_DOUBLE_EQ(share.estimate, 0.8);
  EXPECT_NEAR(share.low, 0.490162, 1e-6);
  EXPECT_NEAR(share.high, 0.943318, 1e-6);
}

TEST(WilsonInterval, AllAndNoneKeepAWidthAndStayInside) {
  // k = n: low = n / (n + z^2) = 7 / 10.841459 = 0.645669; k = 0 mirrors it.
  EXPECT_NEAR(wilson_interval(7, 7).low, 0.645669, 1e-6);
  EXPECT_DOUBLE_EQ(wilson_interval(7, 7).high, 1);
  EXPECT_DOUBLE_EQ(wilson_interval(0, 7).low, 0);
  EXPECT_NEAR(wilson_interval(0, 7).high, 1 - 0.645669, 1e-6);
}

TEST(WilsonInterval, ATieMayCountOneHalf) {
  // The interval of one half is symmetric.
  const Interval share = wilson_interval(2.5, 5);
  EXPECT_NEAR(share.low + share.high, 1, 1e-12);
}

TEST(WilsonInterval, NoTrialsOrTooManySuccessesAreRefused) {
  EXPECT_THROW(wilson_interval(0, 0), Error);
  EXPECT_THROW(wilson_interval(4, 3), Error);
  EXPECT_THROW(wilson_interval(-1, 3), Error);
}

}  // namespace
}  // namespace attune::report
