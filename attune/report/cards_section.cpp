#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "attune/report/chart.h"
#include "attune/report/histogram.h"
#include "attune/report/html.h"
#include "attune/report/sections.h"

namespace attune::report {
namespace {

struct Card {
  std::string name = {};
  std::string value = {};
  std::string unit = {};
  std::string below = {};  ///< one line of context; may be empty.
  std::string spark = {};  ///< HTML of a sparkline; may be empty.
};

std::string card_html(const Card& card) {
  const std::string unit = card.unit.empty() ? "" : " <small>" + escaped(card.unit) + "</small>";
  return fmt::format("<div class=\"card\"><dt>{}</dt><dd><b>{}{}</b><span>{}</span>{}</dd></div>\n",
                     escaped(card.name),
                     escaped(card.value),
                     unit,
                     escaped(card.below),
                     card.spark);
}

template <class Row>
std::vector<Point> curve_of(const std::vector<Row>& rows, double Row::*member) {
  std::vector<Point> points;
  for (const Row& row : rows) {
    points.push_back({static_cast<double>(row.step), row.*member});
  }
  return finite_points(points);
}

std::string change_text(const std::vector<Point>& points) {
  return points.size() < 2 ? "" : fmt::format("{} at first", number_text(points.front().y));
}

Card loss_card(const RunReport& run) {
  const auto held = curve_of(run.evals, &EvalRow::loss);
  const bool use_held = !held.empty();
  const auto points = use_held ? held : curve_of(run.steps, &StepRow::loss);
  if (points.empty()) {
    return {};
  }
  return {.name = use_held ? "Held-out loss" : "Training loss",
          .value = number_text(points.back().y),
          .unit = "nats",
          .below = change_text(points),
          .spark = sparkline(points, use_held ? "held" : "train")};
}

Card margin_card(const RunReport& run) {
  const auto held = curve_of(run.evals, &EvalRow::margin);
  const bool use_held = !held.empty();
  const auto points = use_held ? held : curve_of(run.steps, &StepRow::margin);
  if (points.empty()) {
    return {};
  }
  return {.name = use_held ? "Held-out margin" : "Training margin",
          .value = number_text(points.back().y),
          .unit = "nats",
          .below = change_text(points),
          .spark = sparkline(points, use_held ? "held" : "train")};
}

Card accuracy_card(const RunReport& run) {
  const auto held = curve_of(run.evals, &EvalRow::accuracy);
  if (run.accuracy_after) {
    return {
        .name = "Held-out accuracy",
        .value = percent_text(run.accuracy_after->estimate),
        .below = run.accuracy_before ? percent_text(run.accuracy_before->estimate) + " before" : "",
        .spark = sparkline(held, "held")};
  }
  const auto points = held.empty() ? curve_of(run.steps, &StepRow::accuracy) : held;
  if (points.empty()) {
    return {};
  }
  return {.name = held.empty() ? "Training accuracy" : "Held-out accuracy",
          .value = percent_text(points.back().y),
          .below = points.size() < 2 ? "" : percent_text(points.front().y) + " at first",
          .spark = sparkline(points, held.empty() ? "train" : "held")};
}

Card steps_card(const RunReport& run) {
  if (run.steps.empty()) {
    return {};
  }
  const StepRow& last = run.steps.back();
  std::string below;
  if (last.comparisons > 0) {
    below = count_text(last.comparisons) + (last.comparisons == 1 ? " pair" : " pairs");
  }
  if (std::isfinite(last.epoch) && last.epoch > 0) {
    below += fmt::format("{}{} epochs", below.empty() ? "" : ", ", short_number(last.epoch, 2));
  }
  return {.name = "Steps", .value = count_text(last.step), .below = below};
}

Card time_card(const RunReport& run) {
  const auto seconds = curve_of(run.steps, &StepRow::seconds);
  if (seconds.empty()) {
    return {};
  }
  std::string below;
  if (!run.steps.empty() && run.steps.back().tokens > 0) {
    below = count_text(run.steps.back().tokens) + " tokens";
  }
  return {.name = "Time", .value = duration_text(seconds.back().y), .below = below};
}

Card speed_card(const RunReport& run) {
  std::vector<double> speeds;
  for (const StepRow& row : run.steps) {
    speeds.push_back(row.tokens_per_s);
  }
  const double middle = median(speeds);
  if (!std::isfinite(middle)) {
    return {};
  }
  return {.name = "Speed",
          .value = number_text(middle),
          .unit = "tokens/s",
          .below = "median over the steps"};
}

}  // namespace

std::string cards_section(const RunReport& run) {
  std::string cards;
  for (const Card& card : {accuracy_card(run),
                           loss_card(run),
                           margin_card(run),
                           steps_card(run),
                           time_card(run),
                           speed_card(run)}) {
    cards += card.name.empty() ? "" : card_html(card);
  }
  return cards.empty() ? "" : "<dl class=\"cards\">\n" + cards + "</dl>\n";
}

}  // namespace attune::report
