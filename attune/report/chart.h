// Charts as SVG text, each in a <figure> with a legend, a note and its numbers as a table. The
// page's style sheet gives the classes their colours.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attune/report/interval.h"
#include "attune/report/series.h"

namespace attune::report {

/// One curve. Points that are not finite are left out.
struct LineSeries {
  std::string label = {};          ///< for the legend and the table.
  std::string colour = {};         ///< class of the style sheet: "train", "chosen", ...
  std::vector<Point> points = {};  ///< in rising order of x.
  bool held_out = false;           ///< dashed with dots, without a running mean.
  bool smooth = true;              ///< many points get a running mean over the faint curve.
};

/// Curves over one x axis.
struct LineChart {
  std::string id = {};       ///< unique in the page.
  std::string title = {};    ///< what is shown.
  std::string y_label = {};  ///< quantity and unit.
  std::string note = {};     ///< one or two sentences of text on how to read it; may be empty.
  std::vector<LineSeries> series = {};
  bool percent = false;  ///< y is a share: the axis shows per cent and ends at 100.
  std::optional<std::pair<double, std::string>> mark = {};  ///< a level with its name.
};

/// The figure; "" if the curves have no points at two different steps.
std::string line_chart(const LineChart& chart);

/// One group of values in a histogram.
struct HistogramGroup {
  std::string label = {};           ///< for the legend and the table.
  std::string colour = {};          ///< class of the style sheet.
  std::vector<double> values = {};  ///< those that are not finite are left out.
};

/// Overlaid histograms of groups with shared bins.
struct HistogramChart {
  std::string id = {};       ///< unique in the page.
  std::string title = {};    ///< what is shown.
  std::string x_label = {};  ///< quantity and unit.
  std::string y_label = {};  ///< what is counted.
  std::string note = {};     ///< how to read it; may be empty.
  std::vector<HistogramGroup> groups = {};
  bool whole_numbers = false;  ///< the values are counts: no bin is narrower than 1.
  std::optional<std::pair<double, std::string>> mark = {};  ///< a level with its name.
};

/// The figure; "" if no group has a value. A group of equal values beside one that varies is drawn
/// as a level, because its single bar would flatten the other.
std::string histogram_chart(const HistogramChart& chart);

/// Two shares with their intervals on one scale from 0 to 100 %, and the level of chance.
std::string interval_chart(const std::optional<Interval>& before,
                           const std::optional<Interval>& after);

/// A curve without axes for a card; "" if it has fewer than 2 points.
std::string sparkline(const std::vector<Point>& points, const std::string& colour);

}  // namespace attune::report
