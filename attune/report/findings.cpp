#include "attune/report/findings.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "attune/report/html.h"

namespace attune::report {
namespace {

std::string strong(const std::string& text) {
  return "<strong>" + text + "</strong>";
}

std::string interval_text(const Interval& share) {
  return fmt::format("<span>(95\u00a0% interval {} to {})</span>",
                     percent_text(share.low),
                     percent_text(share.high));
}

Verdict compared(const Interval& before, const Interval& after) {
  const double change = after.estimate - before.estimate;
  const bool apart = after.low > before.high || before.low > after.high;
  const char* verb = change > 0 ? "rose" : change < 0 ? "fell" : "stayed";
  Verdict verdict;
  verdict.html = change == 0 ? fmt::format("Held-out reward accuracy stayed at {} {}.",
                                           strong(percent_text(after.estimate)),
                                           interval_text(after))
                             : fmt::format("Held-out reward accuracy {} from {} {} to {} {}.",
                                           verb,
                                           strong(percent_text(before.estimate)),
                                           interval_text(before),
                                           strong(percent_text(after.estimate)),
                                           interval_text(after));
  if (!apart && change != 0) {
    verdict.html += " The intervals overlap: this many held-out pairs cannot tell the two apart.";
  }
  verdict.tone = !apart ? "flat" : change > 0 ? "good" : "bad";
  return verdict;
}

/// First and last measured value of one member over the rows.
template <class Row>
struct Ends {
  double first = kNotMeasured;
  double last = kNotMeasured;

  Ends(const std::vector<Row>& rows, double Row::*member) {
    for (const Row& row : rows) {
      if (std::isfinite(row.*member)) {
        first = std::isfinite(first) ? first : row.*member;
        last = row.*member;
      }
    }
  }
};

/// Mean of one member over the first or the last tenth of the steps, at least one.
double tenth_mean(const std::vector<StepRow>& steps, double StepRow::*member, bool last) {
  std::vector<double> values;
  for (const StepRow& row : steps) {
    if (std::isfinite(row.*member)) {
      values.push_back(row.*member);
    }
  }
  if (values.empty()) {
    return kNotMeasured;
  }
  const size_t count = std::max<size_t>(1, values.size() / 10);
  const size_t begin = last ? values.size() - count : 0;
  double sum = 0;
  for (size_t i = begin; i < begin + count; ++i) {
    sum += values[i];
  }
  return sum / static_cast<double>(count);
}

}  // namespace

Verdict verdict_of(const RunReport& run) {
  if (run.accuracy_before && run.accuracy_after) {
    return compared(*run.accuracy_before, *run.accuracy_after);
  }
  if (run.accuracy_after) {
    const Interval& after = *run.accuracy_after;
    return {fmt::format("On {} of the held-out pairs the chosen answer has the higher reward {}.",
                        strong(percent_text(after.estimate)),
                        interval_text(after)),
            after.low > 0.5    ? "good"
            : after.high < 0.5 ? "bad"
                               : "flat"};
  }
  const Ends<EvalRow> held(run.evals, &EvalRow::loss);
  if (run.evals.size() > 1 && std::isfinite(held.last)) {
    return {fmt::format("Held-out loss went from {} to {} over {} evaluations.",
                        strong(number_text(held.first)),
                        strong(number_text(held.last)),
                        run.evals.size()),
            held.last < held.first ? "good" : "flat"};
  }
  if (run.steps.empty()) {
    return {"No step was made yet.", "plain"};
  }
  const double first = tenth_mean(run.steps, &StepRow::loss, false);
  const double last = tenth_mean(run.steps, &StepRow::loss, true);
  std::string html = fmt::format("Training loss went from {} to {} in {} steps.",
                                 strong(number_text(first)),
                                 strong(number_text(last)),
                                 count_text(static_cast<int64_t>(run.steps.size())));
  if (run.steps.size() == 1) {
    html = fmt::format("One step was made, with a loss of {}.", strong(number_text(first)));
  }
  if (run.evals.empty()) {
    html += " Nothing was held out, so no figure here says how well it does on new pairs.";
  }
  return {html, "plain"};
}

std::string displacement_note(const RunReport& run) {
  const Ends<EvalRow> held_chosen(run.evals, &EvalRow::chosen_logps);
  const Ends<EvalRow> held_accuracy(run.evals, &EvalRow::accuracy);
  const bool held = run.evals.size() > 1 && std::isfinite(held_chosen.last);
  const double chosen_change = held ? held_chosen.last - held_chosen.first
                                    : tenth_mean(run.steps, &StepRow::chosen_logps, true) -
                                          tenth_mean(run.steps, &StepRow::chosen_logps, false);
  const double accuracy_change = held ? held_accuracy.last - held_accuracy.first
                                      : tenth_mean(run.steps, &StepRow::accuracy, true) -
                                            tenth_mean(run.steps, &StepRow::accuracy, false);
  if (!std::isfinite(chosen_change)) {
    return "";
  }
  // Single nats come and go with the batches.
  constexpr double kClearFall = -1;
  if (chosen_change < kClearFall && !(accuracy_change < 0)) {
    return fmt::format(
        "The chosen answers became less likely by {} nats ({}), although accuracy did not fall. "
        "That is likelihood displacement: the objective only widens the gap, so both may sink. If "
        "answers get worse, try a smaller learning rate, a larger beta, or an nll term beside it.",
        number_text(-chosen_change),
        held ? "held out" : "training");
  }
  return "Only the gap is trained. Watch that the chosen answers do not sink along with the "
         "rejected ones.";
}

}  // namespace attune::report
