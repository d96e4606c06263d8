// Curves and points as an SVG file that stands by itself, readable on light and dark pages.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace attune::science {

/// A curve, or points without a line between them.
struct ChartSeries {
  std::string label;
  std::vector<std::pair<double, double>> points;
  std::vector<double> halves = {};  ///< Half widths of intervals in y; empty: none.
  bool line = true;
  bool dots = true;
};

struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<ChartSeries> series;  ///< Up to 10; each has a colour and a mark of its own.
};

/// The whole file. Points that are not finite are left out.
std::string svg(const Chart& chart);

}  // namespace attune::science
