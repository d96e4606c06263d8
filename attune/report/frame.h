// The parts that every chart shares: the plot area, its axes, legend and table.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attune/report/ticks.h"

namespace attune::report {

/// The SVG's size in its own units. A phone shows it about 350 px wide, so that text of 13 units is
/// still 10 px there.
inline constexpr double kChartWidth = 440;
inline constexpr double kChartHeight = 250;

/// A plot area with the scales of its axes.
class Frame {
 public:
  /// Leaves room on the left for the widest y label. @param percent  y labels are per cent.
  Frame(Ticks x, double x_low, double x_high, Ticks y, bool percent);

  /// Data to SVG units.
  double x(double value) const;
  double y(double value) const;
  double left() const {
    return left_;
  }
  double right() const {
    return kChartWidth - 12;
  }
  double top() const {
    return 26;
  }
  double bottom() const {
    return kChartHeight - 38;
  }
  double x_low() const {
    return x_low_;
  }
  double x_high() const {
    return x_high_;
  }

  /// Grid lines, tick labels and both axis labels.
  std::string axes(std::string_view x_label, std::string_view y_label) const;
  /// A dashed level across (horizontal) or down (vertical) the plot with its name; "" if it lies
  /// outside.
  std::string level_across(double value, std::string_view name) const;
  std::string level_down(double value, std::string_view name) const;

 private:
  Ticks x_ticks_;
  Ticks y_ticks_;
  double x_low_;
  double x_high_;
  bool percent_;
  double left_;
};

/// "12.3,45": one point of a path.
std::string at(double x, double y);

/// How a legend draws a group: a line, a dashed line with a dot, or a box.
enum class Swatch { kLine, kDashed, kBox };

/// One entry of a legend. @param label  text, escaped here.
std::string legend_entry(Swatch swatch, std::string_view colour, std::string_view label);

/// The numbers of a chart, folded away below it.
std::string number_table(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows);

/// What a figure is made of; all but the texts is HTML.
struct Figure {
  std::string id = {};           ///< unique in the page.
  std::string title = {};        ///< text.
  std::string description = {};  ///< text for those who cannot see the chart.
  std::string note = {};         ///< text; may be empty.
  std::string legend = {};       ///< legend entries; may be empty.
  std::string svg = {};          ///< the content of the SVG.
  std::string hover = {};        ///< how the script finds a row: "line" or "bin".
  std::string table = {};        ///< of number_table.
};

std::string figure(const Figure& parts, const Frame& frame);

}  // namespace attune::report
