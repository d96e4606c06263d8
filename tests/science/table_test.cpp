#include "bench/science/table.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/science/chart.h"

namespace attune::science {
namespace {

TEST(Estimate, IsTheMeanWithStudentsInterval) {
  // Mean 4, deviation 2, three values: 4.303 * 2 / sqrt(3).
  const Estimate got = estimate({2, 4, 6});
  EXPECT_DOUBLE_EQ(got.mean, 4);
  EXPECT_NEAR(got.half, 4.303 * 2 / std::sqrt(3.0), 1e-12);
  EXPECT_EQ(got.text(1), "4.0 ± 5.0");
}

TEST(Estimate, OfOneValueHasNoInterval) {
  EXPECT_EQ(estimate({2.5}).text(), "2.50");
}

TEST(Table, IsMarkdownWithItsCaption) {
  Table table("Caption.", {"method", "gain"});
  table.add({"DPO", "1.0"});
  EXPECT_EQ(table.markdown(), "Caption.\n\n| method | gain |\n|---|---:|\n| DPO | 1.0 |\n\n");
}

TEST(LabChart, DrawsEverySeriesAndEscapesItsTexts) {
  const std::string file = svg({.title = "a < b",
                                .x_label = "x",
                                .y_label = "y",
                                .series = {{.label = "line", .points = {{0, 1}, {2, 3}}},
                                           {.label = "dots & bars",
                                            .points = {{1, 2}, {1, NAN}},
                                            .halves = {0.5, 0.5},
                                            .line = false}}});
  EXPECT_THAT(file, testing::StartsWith("<svg"));
  EXPECT_THAT(file, testing::HasSubstr("a &lt; b"));
  EXPECT_THAT(file, testing::HasSubstr("dots &amp; bars"));
  EXPECT_THAT(file, testing::HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(file, testing::Not(testing::HasSubstr("nan")));
}

}  // namespace
}  // namespace attune::science
