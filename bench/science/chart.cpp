#include "bench/science/chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "attune/core/error.h"
#include "attune/report/ticks.h"

namespace attune::science {
namespace {

constexpr double kWidth = 780, kHeight = 400;
constexpr double kLeft = 62, kRight = 510, kTop = 44, kBottom = 346;

constexpr std::array kColours{"#0b63c5",
                              "#c2410c",
                              "#15803d",
                              "#7c3aed",
                              "#b91c1c",
                              "#0e7490",
                              "#a16207",
                              "#be185d",
                              "#475569",
                              "#3f6212"};
constexpr std::array kDarkColours{"#6cb2ff",
                                  "#fb923c",
                                  "#4ade80",
                                  "#c4b5fd",
                                  "#f87171",
                                  "#67e8f9",
                                  "#facc15",
                                  "#f9a8d4",
                                  "#cbd5e1",
                                  "#bef264"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

std::string style() {
  std::string light, dark;
  for (size_t i = 0; i < kColours.size(); ++i) {
    light += fmt::format(".c{}{{color:{}}}", i, kColours[i]);
    dark += fmt::format(".c{}{{color:{}}}", i, kDarkColours[i]);
  }
  return fmt::format(
      "<style>svg{{font:13px system-ui,sans-serif;background:#fff}}text{{fill:#1f2933}}"
      ".grid{{stroke:#d5dae0}}.page{{fill:#fff}}.line{{fill:none;stroke:currentColor;"
      "stroke-width:2}}.mark{{fill:currentColor}}.bar{{stroke:currentColor}}{}"
      "@media(prefers-color-scheme:dark){{svg{{background:#14181d}}text{{fill:#e4e9ee}}"
      ".grid{{stroke:#39424d}}.page{{fill:#14181d}}{}}}</style>",
      light,
      dark);
}

// Circle, square, triangle, diamond: told apart without colour.
std::string mark(size_t series, double x, double y) {
  switch (series % 4) {
    case 0:
      return fmt::format("<circle class=\"mark\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", x, y);
    case 1:
      return fmt::format(
          "<rect class=\"mark\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"7\" height=\"7\"/>",
          x - 3.5,
          y - 3.5);
    case 2:
      return fmt::format("<path class=\"mark\" d=\"M{:.1f} {:.1f}l4.5 8h-9z\"/>", x, y - 5);
    default:
      return fmt::format(
          "<path class=\"mark\" d=\"M{:.1f} {:.1f}l4.5 5l-4.5 5l-4.5-5z\"/>", x, y - 5);
  }
}

struct Axis {
  report::Ticks ticks;
  double from, to;  // SVG units of the ends

  [[nodiscard]] double at(double value) const {
    return from + (value - ticks.low()) / (ticks.high() - ticks.low()) * (to - from);
  }
};

std::string axes(const Chart& chart, const Axis& x, const Axis& y) {
  std::string out;
  for (const double value : x.ticks.at) {
    out += fmt::format(
        "<path class=\"grid\" d=\"M{0:.1f} {1}V{2}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>",
        x.at(value),
        kTop,
        kBottom,
        kBottom + 18,
        x.ticks.label(value));
  }
  for (const double value : y.ticks.at) {
    out += fmt::format(
        "<path class=\"grid\" d=\"M{0} {1:.1f}H{2}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft,
        y.at(value),
        kRight,
        kLeft - 7,
        y.at(value) + 4.5,
        y.ticks.label(value));
  }
  return out + fmt::format(
                   "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>"
                   "<text transform=\"translate(16 {}) rotate(-90)\" "
                   "text-anchor=\"middle\">{}</text>",
                   (kLeft + kRight) / 2,
                   kBottom + 40,
                   escaped(chart.x_label),
                   (kTop + kBottom) / 2,
                   escaped(chart.y_label));
}

std::string draw(const ChartSeries& series, size_t i, const Axis& x, const Axis& y) {
  std::string path, marks;
  for (size_t k = 0; k < series.points.size(); ++k) {
    const auto [px, py] = series.points[k];
    if (!std::isfinite(px) || !std::isfinite(py)) {
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.at(px), y.at(py));
    if (k < series.halves.size() && std::isfinite(series.halves[k])) {
      marks += fmt::format("<path class=\"bar\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>",
                           x.at(px),
                           y.at(py - series.halves[k]),
                           y.at(py + series.halves[k]));
    }
    if (series.dots) {
      marks += mark(i, x.at(px), y.at(py));
    }
  }
  return fmt::format("<g class=\"c{}\">{}{}</g>",
                     i,
                     series.line ? fmt::format("<path class=\"line\" d=\"{}\"/>", path) : "",
                     marks);
}

std::string legend(const Chart& chart) {
  std::string out;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const ChartSeries& series = chart.series[i];
    const double y = kTop + 10 + 24 * static_cast<double>(i);
    out += fmt::format(
        "<g class=\"c{}\">{}{}</g><text x=\"{}\" y=\"{}\">{}</text>",
        i,
        series.line ? fmt::format("<path class=\"line\" d=\"M{} {}h26\"/>", kRight + 16, y) : "",
        series.dots ? mark(i, kRight + 29, y) : "",
        kRight + 50,
        y + 4.5,
        escaped(series.label));
  }
  return out;
}

}  // namespace

std::string svg(const Chart& chart) {
  ensure(chart.series.size() <= kColours.size(), "chart: {} series", chart.series.size());
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const ChartSeries& series : chart.series) {
    for (size_t k = 0; k < series.points.size(); ++k) {
      const auto [x, y] = series.points[k];
      const double half =
          k < series.halves.size() && std::isfinite(series.halves[k]) ? series.halves[k] : 0;
      if (std::isfinite(x) && std::isfinite(y)) {
        x_low = std::min(x_low, x);
        x_high = std::max(x_high, x);
        y_low = std::min(y_low, y - half);
        y_high = std::max(y_high, y + half);
      }
    }
  }
  const Axis x{report::ticks_for(x_low, x_high, 6), kLeft, kRight};
  const Axis y{report::ticks_for(y_low, y_high, 6), kBottom, kTop};
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" role=\"img\" aria-label=\"{2}\">{3}<rect class=\"page\" width=\"{0}\" "
      "height=\"{1}\"/><text x=\"{4}\" y=\"24\" font-size=\"16\" "
      "font-weight=\"600\">{2}</text>{5}",
      kWidth,
      kHeight,
      escaped(chart.title),
      style(),
      kLeft,
      axes(chart, x, y));
  for (size_t i = 0; i < chart.series.size(); ++i) {
    out += draw(chart.series[i], i, x, y);
  }
  return out + legend(chart) + "</svg>\n";
}

}  // namespace attune::science
