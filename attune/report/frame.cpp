#include "attune/report/frame.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "attune/report/html.h"

namespace attune::report {
namespace {

/// Letters of a UTF-8 text.
size_t num_letters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

std::string y_tick_label(const Ticks& ticks, double value, bool percent) {
  return percent ? percent_text(value) : ticks.label(value);
}

}  // namespace

Frame::Frame(Ticks x, double x_low, double x_high, Ticks y, bool percent)
    : x_ticks_(std::move(x)),
      y_ticks_(std::move(y)),
      x_low_(x_low),
      x_high_(x_high > x_low ? x_high : x_low + 1),
      percent_(percent) {
  size_t widest = 0;
  for (const double value : y_ticks_.at) {
    widest = std::max(widest, num_letters(y_tick_label(y_ticks_, value, percent_)));
  }
  constexpr double kLetterWidth = 7.7;
  left_ = 14 + kLetterWidth * static_cast<double>(widest);
}

double Frame::x(double value) const {
  return left() + (value - x_low_) / (x_high_ - x_low_) * (right() - left());
}

double Frame::y(double value) const {
  const double low = y_ticks_.low();
  return bottom() - (value - low) / (y_ticks_.high() - low) * (bottom() - top());
}

std::string at(double x, double y) {
  return short_number(x, 1) + "," + short_number(y, 1);
}

std::string Frame::axes(std::string_view x_label, std::string_view y_label) const {
  std::string grid;
  std::string labels;
  for (const double value : y_ticks_.at) {
    const std::string y_text = short_number(y(value), 1);
    grid += fmt::format("M{},{}H{}", short_number(left(), 1), y_text, short_number(right(), 1));
    labels += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                          short_number(left() - 7, 1),
                          short_number(y(value) + 4.2, 1),
                          y_tick_label(y_ticks_, value, percent_));
  }
  std::string marks;
  for (const double value : x_ticks_.at) {
    if (value < x_low_ || value > x_high_) {
      continue;
    }
    const double x_at = x(value);
    marks += fmt::format("M{}v4", at(x_at, bottom()));
    const char* anchor = x_at > right() - 14 ? "end" : x_at < left() + 8 ? "start" : "middle";
    const double shift = x_at > right() - 14 ? 6 : x_at < left() + 8 ? -4 : 0;
    labels += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
                          short_number(x_at + shift, 1),
                          short_number(bottom() + 17, 1),
                          anchor,
                          x_ticks_.label(value));
  }
  return fmt::format(
      "<path class=\"grid\" d=\"{}\"/><path class=\"axis\" d=\"M{}H{}{}\"/>"
      "<g class=\"ticks\">{}</g>"
      "<g class=\"labels\"><text x=\"4\" y=\"12\">{}</text>"
      "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text></g>",
      grid,
      at(left(), bottom()),
      short_number(right(), 1),
      marks,
      labels,
      escaped(y_label),
      short_number(right(), 1),
      short_number(kChartHeight - 5, 1),
      escaped(x_label));
}

std::string Frame::level_across(double value, std::string_view name) const {
  if (value < y_ticks_.low() || value > y_ticks_.high()) {
    return "";
  }
  const double y_at = y(value);
  const bool below = y_at - top() < 14;
  return fmt::format(
      "<path class=\"level\" d=\"M{}H{}\"/>"
      "<text class=\"level-name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
      at(left(), y_at),
      short_number(right(), 1),
      short_number(right() - 2, 1),
      short_number(below ? y_at + 13 : y_at - 5, 1),
      escaped(name));
}

std::string Frame::level_down(double value, std::string_view name) const {
  if (value < x_low_ || value > x_high_) {
    return "";
  }
  const double x_at = x(value);
  const bool left_of_it = x_at > (left() + right()) / 2;
  return fmt::format(
      "<path class=\"level\" d=\"M{}V{}\"/>"
      "<text class=\"level-name\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
      at(x_at, top() - 4),
      short_number(bottom(), 1),
      short_number(left_of_it ? x_at - 4 : x_at + 4, 1),
      short_number(top() + 6, 1),
      left_of_it ? "end" : "start",
      escaped(name));
}

std::string legend_entry(Swatch swatch, std::string_view colour, std::string_view label) {
  std::string_view mark = "<path d=\"M1,6H23\"/>";
  if (swatch == Swatch::kDashed) {
    mark = "<path class=\"dashed\" d=\"M1,6H23\"/><circle cx=\"12\" cy=\"6\" r=\"3.4\"/>";
  } else if (swatch == Swatch::kBox) {
    mark = "<rect x=\"4\" y=\"1\" width=\"16\" height=\"10\"/>";
  }
  return fmt::format(
      "<li class=\"c-{}\"><svg class=\"swatch\" viewBox=\"0 0 24 12\" aria-hidden=\"true\">{}</svg>"
      "{}</li>",
      colour,
      mark,
      escaped(label));
}

std::string number_table(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows) {
  std::string out =
      "<details class=\"numbers\"><summary>numbers</summary><div class=\"scroll\"><table>"
      "<thead><tr>";
  for (const std::string& cell : head) {
    out += "<th>" + escaped(cell) + "</th>";
  }
  out += "</tr></thead><tbody>";
  for (const auto& row : rows) {
    out += "<tr>";
    for (const std::string& cell : row) {
      out += "<td>" + cell + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div></details>";
}

std::string figure(const Figure& parts, const Frame& frame) {
  const std::string note = parts.note.empty() ? "" : "<p>" + escaped(parts.note) + "</p>";
  const std::string legend =
      parts.legend.empty() ? "" : "<ul class=\"legend\">" + parts.legend + "</ul>";
  return fmt::format(
      "<figure class=\"chart\" id=\"{0}\" data-hover=\"{1}\" data-x=\"{2} {3}\" "
      "data-px=\"{4} {5}\">"
      "<figcaption><h3>{6}</h3>{7}</figcaption>{8}<div class=\"plot\">"
      "<svg viewBox=\"0 0 {9} {10}\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\">"
      "<title id=\"{0}-t\">{6}</title><desc id=\"{0}-d\">{11}</desc>{12}</svg></div>{13}"
      "</figure>\n",
      parts.id,
      parts.hover,
      fmt::format("{:.9g}", frame.x_low()),
      fmt::format("{:.9g}", frame.x_high()),
      short_number(frame.left() / kChartWidth, 4),
      short_number(frame.right() / kChartWidth, 4),
      escaped(parts.title),
      note,
      legend,
      kChartWidth,
      kChartHeight,
      escaped(parts.description),
      parts.svg,
      parts.table);
}

}  // namespace attune::report
