#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "attune/report/chart.h"
#include "attune/report/findings.h"
#include "attune/report/html.h"
#include "attune/report/sections.h"

namespace attune::report {
namespace {

template <class Row>
std::vector<Point> points_of(const std::vector<Row>& rows, double Row::*member) {
  std::vector<Point> points;
  points.reserve(rows.size());
  for (const Row& row : rows) {
    points.push_back({static_cast<double>(row.step), row.*member});
  }
  return points;
}

LineSeries train(const RunReport& run, double StepRow::*member) {
  return {.label = "training", .colour = "train", .points = points_of(run.steps, member)};
}

LineSeries held_out(const RunReport& run, double EvalRow::*member) {
  return {.label = "held out",
          .colour = "held",
          .points = points_of(run.evals, member),
          .held_out = true};
}

/// Chosen and rejected, in training and held out.
std::vector<LineSeries> both_sides(const RunReport& run,
                                   double StepRow::*chosen,
                                   double StepRow::*rejected,
                                   double EvalRow::*held_chosen,
                                   double EvalRow::*held_rejected) {
  return {{.label = "chosen", .colour = "chosen", .points = points_of(run.steps, chosen)},
          {.label = "rejected", .colour = "rejected", .points = points_of(run.steps, rejected)},
          {.label = "chosen, held out",
           .colour = "chosen",
           .points = points_of(run.evals, held_chosen),
           .held_out = true},
          {.label = "rejected, held out",
           .colour = "rejected",
           .points = points_of(run.evals, held_rejected),
           .held_out = true}};
}

/// The loss of a pair on which the model is undecided, if that is where this run began.
std::optional<std::pair<double, std::string>> undecided_mark(const RunReport& run) {
  constexpr double kLn2 = 0.693147180559945;
  constexpr double kNear = 0.02;
  const auto starts_there = [&](const auto& rows) {
    return !rows.empty() && std::abs(rows.front().loss - kLn2) < kNear;
  };
  if (starts_there(run.steps) || starts_there(run.evals)) {
    return std::pair{kLn2, std::string("undecided: ln 2")};
  }
  return std::nullopt;
}

std::string section_of(const char* id,
                       const char* title,
                       const char* lead,
                       const std::string& charts) {
  return charts.empty() ? ""
                        : fmt::format(
                              "<section id=\"{}\"><h2>{}</h2><p class=\"lead\">{}</p>"
                              "<div class=\"charts\">\n{}</div></section>\n",
                              id,
                              title,
                              lead,
                              charts);
}

}  // namespace

std::string curves_section(const RunReport& run) {
  std::string charts;
  charts += line_chart({.id = "loss",
                        .title = "Loss",
                        .y_label = "nats a pair",
                        .note = "Held-out loss that rises while training loss falls means "
                                "over-fitting.",
                        .series = {train(run, &StepRow::loss), held_out(run, &EvalRow::loss)},
                        .mark = undecided_mark(run)});
  charts +=
      line_chart({.id = "accuracy",
                  .title = "Reward accuracy",
                  .y_label = "pairs ranked right",
                  .note = "How often the chosen answer gets the higher reward.",
                  .series = {train(run, &StepRow::accuracy), held_out(run, &EvalRow::accuracy)},
                  .percent = true,
                  .mark = std::pair{0.5, std::string("chance")}});
  charts += line_chart({.id = "margin",
                        .title = "Reward margin",
                        .y_label = "nats",
                        .note = "Reward of the chosen minus reward of the rejected answer.",
                        .series = {train(run, &StepRow::margin), held_out(run, &EvalRow::margin)},
                        .mark = std::pair{0.0, std::string("undecided")}});
  charts += line_chart({.id = "rewards",
                        .title = "Rewards of both sides",
                        .y_label = "nats",
                        .note = "Which side moves the margin: the chosen up, or the rejected down?",
                        .series = both_sides(run,
                                             &StepRow::chosen_reward,
                                             &StepRow::rejected_reward,
                                             &EvalRow::chosen_reward,
                                             &EvalRow::rejected_reward),
                        .mark = std::pair{0.0, std::string("reference")}});
  charts += line_chart({.id = "logps",
                        .title = "Log-probabilities",
                        .y_label = "nats an answer",
                        .note = displacement_note(run),
                        .series = both_sides(run,
                                             &StepRow::chosen_logps,
                                             &StepRow::rejected_logps,
                                             &EvalRow::chosen_logps,
                                             &EvalRow::rejected_logps)});
  charts += line_chart({.id = "grad-norm",
                        .title = "Gradient norm",
                        .y_label = "global norm before clipping",
                        .note = "Spikes are batches that pulled hard.",
                        .series = {{.label = "gradient norm",
                                    .colour = "plain",
                                    .points = points_of(run.steps, &StepRow::grad_norm)}}});
  charts += line_chart({.id = "lr",
                        .title = "Learning rate",
                        .y_label = "learning rate",
                        .series = {{.label = "learning rate",
                                    .colour = "plain",
                                    .points = points_of(run.steps, &StepRow::lr),
                                    .smooth = false}}});
  charts += line_chart({.id = "speed",
                        .title = "Speed",
                        .y_label = "tokens a second",
                        .series = {{.label = "tokens a second",
                                    .colour = "plain",
                                    .points = points_of(run.steps, &StepRow::tokens_per_s)}}});
  return section_of("curves",
                    "How it learned",
                    "Each point is one optimizer step; dots are evaluations on held-out pairs. "
                    "Point at a chart to read its values.",
                    charts);
}

std::string pairs_section(const RunReport& run) {
  std::string charts;
  charts += histogram_chart(
      {.id = "margins",
       .title = "Margins before and after",
       .x_label = "reward margin, nats",
       .y_label = "held-out pairs",
       .note = "Right of zero the model ranks the pair as people did.",
       .groups = {{"after", "after", run.margins_after}, {"before", "before", run.margins_before}},
       .mark = std::pair{0.0, std::string("ranked right")}});
  charts += histogram_chart({.id = "held-rewards",
                             .title = "Rewards after training",
                             .x_label = "implicit reward, nats",
                             .y_label = "held-out answers",
                             .note = "The less the two overlap, the better the model tells them "
                                     "apart.",
                             .groups = {{"chosen", "chosen", run.chosen_rewards},
                                        {"rejected", "rejected", run.rejected_rewards}}});
  charts += histogram_chart({.id = "lengths",
                             .title = "Answer lengths",
                             .x_label = "tokens",
                             .y_label = "answers",
                             .note = "If one side is much longer, the model may learn length "
                                     "instead of taste.",
                             .groups = {{"chosen", "chosen", run.chosen_tokens},
                                        {"rejected", "rejected", run.rejected_tokens}},
                             .whole_numbers = true});
  return section_of("pairs", "Pair by pair", "How the single pairs are spread.", charts);
}

}  // namespace attune::report
