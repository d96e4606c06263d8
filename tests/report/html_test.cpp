#include "attune/report/html.h"

#include <cmath>

#include <gtest/gtest.h>

namespace attune::report {
namespace {

TEST(Escaped, WhatHtmlReadsAsMarkupIsDisarmed) {
  EXPECT_EQ(escaped("<script>alert(\"1\" & '2')</script>"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
}

TEST(Escaped, WellFormedTextOfAnyLengthPasses) {
  const std::string text = "a\u00e9\u20ac\U0001F600\n\tz";
  EXPECT_EQ(escaped(text), text);
}

TEST(Escaped, BrokenUtf8AndControlCharactersAreReplaced) {
  EXPECT_EQ(escaped("a\xffz"), "a\uFFFDz");
  EXPECT_EQ(escaped(std::string("a\0z", 3)), "a\uFFFDz");
  EXPECT_EQ(escaped("\x1b[31m"), "\uFFFD[31m");
  EXPECT_EQ(escaped("\xC0\xBC"), "\uFFFD\uFFFD");                      // overlong "<"
  EXPECT_EQ(escaped("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(escaped("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // past U+10FFFF
  EXPECT_EQ(escaped("\xE2\x82"), "\uFFFD\uFFFD");                      // cut off
  EXPECT_EQ(escaped("\xE2<b>"), "\uFFFD&lt;b&gt;");                    // swallows nothing
}

TEST(NumberText, AboutFourDigits) {
  EXPECT_EQ(number_text(0.693147), "0.6931");
  EXPECT_EQ(number_text(-12.3456), "−12.35");
  EXPECT_EQ(number_text(123.456), "123.5");
  EXPECT_EQ(number_text(-1234567.8), "−1,234,568");
  EXPECT_EQ(number_text(999.96), "1,000");
  EXPECT_EQ(number_text(5e-6), "5e-6");
  EXPECT_EQ(number_text(-2.5e-6), "−2.5e-6");
  EXPECT_EQ(number_text(3e12), "3e12");
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(7), "7");
  EXPECT_EQ(number_text(std::nan("")), "–");
  EXPECT_EQ(number_text(-INFINITY), "–");
}

TEST(PercentText, ADecimalOnlyWhereNeeded) {
  EXPECT_EQ(percent_text(0.91), "91\u00a0%");
  EXPECT_EQ(percent_text(36.0 / 74), "48.6\u00a0%");
  EXPECT_EQ(percent_text(1), "100\u00a0%");
}

TEST(CountText, ThousandsAreSetApart) {
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(-123456789), "−123,456,789");
}

TEST(DurationText, UnitsFollowTheLength) {
  EXPECT_EQ(duration_text(8.44), "8.4 s");
  EXPECT_EQ(duration_text(59.97), "1 min 00 s");
  EXPECT_EQ(duration_text(252), "4 min 12 s");
  EXPECT_EQ(duration_text(3780), "1 h 03 min");
  EXPECT_EQ(duration_text(-1), "–");
}

TEST(ShortNumber, NoLetterTooMany) {
  EXPECT_EQ(short_number(12.50, 2), "12.5");
  EXPECT_EQ(short_number(3.0, 2), "3");
  EXPECT_EQ(short_number(-0.001, 2), "0");
  EXPECT_EQ(short_number(100, 0), "100");
}

}  // namespace
}  // namespace attune::report
