#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "attune/report/chart.h"
#include "attune/report/frame.h"
#include "attune/report/histogram.h"
#include "attune/report/html.h"

namespace attune::report {
namespace {

size_t num_finite(const std::vector<double>& values) {
  return static_cast<size_t>(std::count_if(
      values.begin(), values.end(), [](double value) { return std::isfinite(value); }));
}

/// The outline of a histogram, down to the axis at both ends and wherever a bin is empty.
std::string steps_of(const Frame& frame, const Bins& bins, const std::vector<int64_t>& counts) {
  std::string path = "M" + at(frame.x(bins.edges.front()), frame.bottom());
  for (size_t i = 0; i < counts.size(); ++i) {
    path += "V" + short_number(frame.y(static_cast<double>(counts[i])), 1) + "H" +
            short_number(frame.x(bins.edges[i + 1]), 1);
  }
  return path + "V" + short_number(frame.bottom(), 1) + "Z";
}

/// The value that all finite values of the group share, if they do.
std::optional<double> shared_value(const HistogramGroup& group) {
  std::optional<double> shared;
  for (const double value : group.values) {
    if (std::isfinite(value) && shared && value != *shared) {
      return std::nullopt;
    }
    shared = std::isfinite(value) ? value : shared;
  }
  return shared;
}

std::string group_text(const HistogramGroup& group) {
  if (const auto shared = shared_value(group)) {
    return fmt::format("{} (all {})", group.label, number_text(*shared));
  }
  return fmt::format("{} (median {})", group.label, number_text(median(group.values)));
}

std::string bin_table(const HistogramChart& chart, const Bins& bins) {
  std::vector<std::string> head{"from", "to"};
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i + 1 < bins.edges.size(); ++i) {
    rows.push_back(
        {fmt::format("{:.6g}", bins.edges[i]), fmt::format("{:.6g}", bins.edges[i + 1])});
  }
  for (const HistogramGroup& group : chart.groups) {
    head.push_back(group.label);
    const auto counts = bins.counts(group.values);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].push_back(count_text(counts[i]));
    }
  }
  return number_table(head, rows);
}

}  // namespace

std::string histogram_chart(const HistogramChart& given) {
  HistogramChart chart = given;
  chart.groups.erase(
      std::remove_if(chart.groups.begin(),
                     chart.groups.end(),
                     [](const HistogramGroup& group) { return num_finite(group.values) == 0; }),
      chart.groups.end());
  std::vector<const std::vector<double>*> values;
  for (const HistogramGroup& group : chart.groups) {
    values.push_back(&group.values);
  }
  const Bins bins = bins_for(values, chart.whole_numbers ? 1 : 0);
  if (bins.edges.empty()) {
    return "";
  }
  const bool any_varies =
      std::any_of(chart.groups.begin(), chart.groups.end(), [](const HistogramGroup& group) {
        return !shared_value(group);
      });
  const auto is_level = [&](const HistogramGroup& group) {
    return any_varies && shared_value(group).has_value();
  };
  int64_t most = 0;
  for (const HistogramGroup& group : chart.groups) {
    for (const int64_t count : bins.counts(group.values)) {
      most = is_level(group) ? most : std::max(most, count);
    }
  }
  // Counts are whole: five marks for up to five of them, no half ones.
  const int wanted = static_cast<int>(std::min<int64_t>(5, most));
  const Frame frame(ticks_for(bins.edges.front(), bins.edges.back(), 6),
                    bins.edges.front(),
                    bins.edges.back(),
                    ticks_for(0, static_cast<double>(most), wanted),
                    /*percent=*/false);
  std::string svg = frame.axes(chart.x_label, chart.y_label);
  std::string legend;
  std::string about = chart.y_label + " by " + chart.x_label + ".";
  for (size_t i = 0; i < chart.groups.size(); ++i) {
    const HistogramGroup& group = chart.groups[i];
    if (is_level(group)) {
      const auto value = *shared_value(group);
      svg += frame.level_down(value, fmt::format("{}: all {}", group.label, number_text(value)));
      chart.mark = chart.mark && chart.mark->first == value ? std::nullopt : chart.mark;
    } else {
      svg += fmt::format("<path class=\"bars c-{}{}\" d=\"{}\"/>",
                         group.colour,
                         i == 0 ? "" : " second",
                         steps_of(frame, bins, bins.counts(group.values)));
    }
    legend += legend_entry(Swatch::kBox, group.colour, group_text(group));
    about += fmt::format(" {}: {} values.", group_text(group), num_finite(group.values));
  }
  if (chart.mark) {
    svg += frame.level_down(chart.mark->first, chart.mark->second);
  }
  return figure({.id = chart.id,
                 .title = chart.title,
                 .description = about,
                 .note = chart.note,
                 .legend = legend,
                 .svg = svg,
                 .hover = "bin",
                 .table = bin_table(chart, bins)},
                frame);
}

std::string interval_chart(const std::optional<Interval>& before,
                           const std::optional<Interval>& after) {
  if (!before && !after) {
    return "";
  }
  constexpr double kLeft = 62, kRight = 428, kRowHeight = 30, kTop = 14;
  const auto x_of = [&](double share) {
    return short_number(kLeft + std::clamp(share, 0.0, 1.0) * (kRight - kLeft), 1);
  };
  std::string rows;
  std::string about;
  double y = kTop;
  const auto add_row = [&](const char* name, const std::optional<Interval>& share) {
    if (!share) {
      return;
    }
    y += kRowHeight;
    rows += fmt::format(
        "<text x=\"{0}\" y=\"{1}\" text-anchor=\"end\">{2}</text><g class=\"c-{2}\">"
        "<path class=\"span\" d=\"M{3},{4}H{5}\"/><circle cx=\"{6}\" cy=\"{4}\" r=\"6\"/></g>",
        kLeft - 10,
        y + 4.5,
        name,
        x_of(share->low),
        y,
        x_of(share->high),
        x_of(share->estimate));
    about += fmt::format("{}: {}, 95 % interval {} to {}. ",
                         name,
                         percent_text(share->estimate),
                         percent_text(share->low),
                         percent_text(share->high));
  };
  add_row("before", before);
  add_row("after", after);
  const double bottom = y + 20;
  std::string scale;
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    scale += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
                         x_of(share),
                         bottom + 17,
                         share == 1 ? "end" : "middle",
                         percent_text(share));
  }
  return fmt::format(
      "<figure class=\"interval\"><svg viewBox=\"0 0 440 {}\" role=\"img\" "
      "aria-labelledby=\"interval-t interval-d\">"
      "<title id=\"interval-t\">Held-out reward accuracy with 95 % intervals</title>"
      "<desc id=\"interval-d\">{}</desc>"
      "<path class=\"axis\" d=\"M{},{}H{}\"/><path class=\"level\" d=\"M{},16V{}\"/>"
      "<text class=\"level-name\" x=\"{}\" y=\"12\" text-anchor=\"middle\">chance</text>"
      "<g class=\"ticks\">{}{}</g></svg>"
      "<figcaption>Held-out reward accuracy: share of pairs whose chosen answer has the higher "
      "reward. Bars are 95 % intervals.</figcaption></figure>\n",
      bottom + 24,
      escaped(about),
      x_of(0),
      bottom,
      x_of(1),
      x_of(0.5),
      bottom,
      x_of(0.5),
      rows,
      scale);
}

}  // namespace attune::report
