#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "attune/report/chart.h"
#include "attune/report/frame.h"
#include "attune/report/html.h"

namespace attune::report {
namespace {

/// A plot is about 360 units wide: more buckets could not be seen.
constexpr size_t kDrawnBuckets = 180;
constexpr size_t kTableRows = 100;
constexpr size_t kMostDots = 40;
/// With fewer points the eye does the smoothing.
constexpr size_t kSmoothedFrom = 24;

size_t smoothing_width(size_t num_points) {
  return std::max<size_t>(5, num_points / 15) | 1;
}

template <class Points, class Y>
std::string path_through(const Frame& frame, const Points& points, Y&& y_of) {
  std::string path;
  for (const auto& point : points) {
    path += (path.empty() ? "M" : " ") + at(frame.x(point.x), frame.y(y_of(point)));
  }
  return path;
}

/// From each bucket's least to its largest value, as one closed shape.
std::string envelope(const Frame& frame, const std::vector<Bucket>& buckets) {
  std::string path = path_through(frame, buckets, [](const Bucket& b) { return b.high; });
  for (auto bucket = buckets.rbegin(); bucket != buckets.rend(); ++bucket) {
    path += " " + at(frame.x(bucket->x), frame.y(bucket->low));
  }
  return path + "Z";
}

std::string dots(const Frame& frame, const std::vector<Bucket>& buckets) {
  std::string out;
  for (const Bucket& bucket : buckets) {
    out += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"3.2\"/>",
                       short_number(frame.x(bucket.x), 1),
                       short_number(frame.y(bucket.mean), 1));
  }
  return out;
}

std::string curve(const Frame& frame, const LineSeries& series) {
  const std::vector<Point> points = finite_points(series.points);
  const std::vector<Bucket> buckets = downsample(points, kDrawnBuckets);
  const auto mean_of = [](const Bucket& bucket) { return bucket.mean; };
  const std::string line = path_through(frame, buckets, mean_of);
  std::string out;
  if (series.held_out) {
    out = fmt::format("<path class=\"line dashed\" d=\"{}\"/>", line);
  } else if (!series.smooth || points.size() < kSmoothedFrom) {
    out = fmt::format("<path class=\"line\" d=\"{}\"/>", line);
  } else {
    const auto means =
        downsample(running_mean(points, smoothing_width(points.size())), kDrawnBuckets);
    out = buckets.size() < points.size()
              ? fmt::format("<path class=\"range\" d=\"{}\"/>", envelope(frame, buckets))
              : fmt::format("<path class=\"raw\" d=\"{}\"/>", line);
    out += fmt::format("<path class=\"line\" d=\"{}\"/>", path_through(frame, means, mean_of));
  }
  const bool dotted = series.held_out ? buckets.size() <= kMostDots : points.size() <= 2;
  if (dotted) {
    out += dots(frame, buckets);
  }
  return fmt::format("<g class=\"c-{}\">{}</g>", series.colour, out);
}

std::string series_table(const LineChart& chart) {
  std::map<int64_t, std::vector<std::string>> rows;
  std::vector<std::string> head{"step"};
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const auto buckets = downsample(chart.series[i].points, kTableRows);
    const bool means = buckets.size() < finite_points(chart.series[i].points).size();
    head.push_back(chart.series[i].label + (means ? " (mean)" : ""));
    for (const Bucket& bucket : buckets) {
      auto& row = rows[std::llround(bucket.x)];
      row.resize(chart.series.size());
      row[i] = chart.percent ? percent_text(bucket.mean) : number_text(bucket.mean);
    }
  }
  std::vector<std::vector<std::string>> cells;
  for (auto& [step, values] : rows) {
    values.insert(values.begin(), std::to_string(step));
    cells.push_back(std::move(values));
  }
  return number_table(head, cells);
}

std::string description(const LineChart& chart) {
  std::string text = chart.y_label + " by step.";
  for (const LineSeries& series : chart.series) {
    const auto points = finite_points(series.points);
    const auto value = [&](const Point& point) {
      return chart.percent ? percent_text(point.y) : number_text(point.y);
    };
    text += fmt::format(" {}: from {} at step {} to {} at step {}.",
                        series.label,
                        value(points.front()),
                        count_text(std::llround(points.front().x)),
                        value(points.back()),
                        count_text(std::llround(points.back().x)));
  }
  return text;
}

std::string legend(const LineChart& chart) {
  std::string entries;
  size_t width = 0;
  for (const LineSeries& series : chart.series) {
    const size_t count = finite_points(series.points).size();
    if (!series.held_out && series.smooth && count >= kSmoothedFrom) {
      width = smoothing_width(count);
    }
    if (chart.series.size() > 1) {
      entries += legend_entry(
          series.held_out ? Swatch::kDashed : Swatch::kLine, series.colour, series.label);
    }
  }
  if (width > 0) {
    entries += fmt::format("<li class=\"aside\">bold: mean of {} steps</li>", width);
  }
  return entries;
}

}  // namespace

std::string line_chart(const LineChart& given) {
  LineChart chart = given;
  chart.series.erase(
      std::remove_if(chart.series.begin(),
                     chart.series.end(),
                     [](const LineSeries& series) { return finite_points(series.points).empty(); }),
      chart.series.end());
  if (chart.series.empty()) {
    return "";
  }
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const LineSeries& series : chart.series) {
    for (const Point& point : finite_points(series.points)) {
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      y_low = std::min(y_low, point.y);
      y_high = std::max(y_high, point.y);
    }
  }
  if (x_low == x_high) {
    return "";
  }
  if (chart.percent) {
    y_high = 1;
    y_low = std::min(y_low, 0.4);
  }
  Ticks steps = ticks_for(x_low, x_high, 6);
  steps.at.erase(
      std::remove_if(
          steps.at.begin(), steps.at.end(), [](double step) { return step != std::round(step); }),
      steps.at.end());
  const Frame frame(steps, x_low, x_high, ticks_for(y_low, y_high, 5), chart.percent);
  std::string svg = frame.axes("step", chart.y_label);
  for (const LineSeries& series : chart.series) {
    svg += curve(frame, series);
  }
  if (chart.mark) {
    svg += frame.level_across(chart.mark->first, chart.mark->second);
  }
  return figure({.id = chart.id,
                 .title = chart.title,
                 .description = description(chart),
                 .note = chart.note,
                 .legend = legend(chart),
                 .svg = svg,
                 .hover = "line",
                 .table = series_table(chart)},
                frame);
}

std::string sparkline(const std::vector<Point>& given, const std::string& colour) {
  std::vector<Point> points = finite_points(given);
  if (points.size() < 2) {
    return "";
  }
  if (points.size() >= kSmoothedFrom) {
    points = running_mean(points, smoothing_width(points.size()));
  }
  constexpr double kWidth = 120, kHeight = 28, kEdge = 2;
  const auto [least, most] = std::minmax_element(
      points.begin(), points.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
  const double span_y = most->y > least->y ? most->y - least->y : 1;
  const double span_x = points.back().x > points.front().x ? points.back().x - points.front().x : 1;
  std::string path;
  constexpr size_t kSparkPoints = 60;
  for (const Bucket& point : downsample(points, kSparkPoints)) {
    path += (path.empty() ? "M" : " ") +
            at((point.x - points.front().x) / span_x * kWidth,
               kHeight - kEdge - (point.mean - least->y) / span_y * (kHeight - 2 * kEdge));
  }
  return fmt::format(
      "<svg class=\"spark c-{}\" viewBox=\"0 0 120 28\" preserveAspectRatio=\"none\" "
      "aria-hidden=\"true\"><path class=\"line\" d=\"{}\"/></svg>",
      colour,
      path);
}

}  // namespace attune::report
