// What one optimizer step and one evaluation leave behind: the rows of metrics.jsonl, of the event
// file and of the report.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>

namespace attune::report {

/// A figure that nobody measured: written as null, left out of events, its chart left out.
inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

/// What stands before the names of StepRow::terms in metrics.jsonl and in the event file.
inline constexpr const char* kTermsPrefix = "terms/";

/// One optimizer step, averaged over its comparisons.
struct StepRow {
  int64_t step = 0;                       ///< 1 is the first.
  double loss = kNotMeasured;             ///< nats.
  double accuracy = kNotMeasured;         ///< share of pairs with a positive margin, 0 to 1.
  double margin = kNotMeasured;           ///< mean of chosen minus rejected reward, nats.
  double grad_norm = kNotMeasured;        ///< global norm before clipping.
  double lr = kNotMeasured;               ///< learning rate of this step.
  double chosen_reward = kNotMeasured;    ///< mean implicit reward of the chosen, nats.
  double rejected_reward = kNotMeasured;  ///< mean implicit reward of the rejected, nats.
  double chosen_logps = kNotMeasured;     ///< mean summed log-probability of the chosen, nats.
  double rejected_logps = kNotMeasured;   ///< mean summed log-probability of the rejected, nats.
  double tokens_per_s = kNotMeasured;     ///< packed tokens a second in this step.
  double seconds = kNotMeasured;          ///< since the run began, over all its resumes.
  double epoch = kNotMeasured;            ///< passes over the data so far, with fraction.
  int64_t tokens = 0;                     ///< packed tokens so far; 0 = not counted.
  int64_t comparisons = 0;                ///< comparisons so far; 0 = not counted.
  /// What the objective's terms say of themselves: "kto.kl", "constraint.dual".
  std::map<std::string, double> terms = {};

  /// Calls `visit(key, value)` for each figure but `step` and `terms`, with the key of
  /// metrics.jsonl: TRL's name where TRL has one.
  template <class Row, class Visitor>
  static void each(Row& row, Visitor&& visit) {
    visit("epoch", row.epoch);
    visit("loss", row.loss);
    visit("rewards/accuracies", row.accuracy);
    visit("rewards/margins", row.margin);
    visit("rewards/chosen", row.chosen_reward);
    visit("rewards/rejected", row.rejected_reward);
    visit("logps/chosen", row.chosen_logps);
    visit("logps/rejected", row.rejected_logps);
    visit("grad_norm", row.grad_norm);
    visit("learning_rate", row.lr);
    visit("tokens", row.tokens);
    visit("comparisons", row.comparisons);
    visit("tokens_per_second", row.tokens_per_s);
    visit("seconds", row.seconds);
  }
};

/// One evaluation on the held-out comparisons.
struct EvalRow {
  int64_t step = 0;                       ///< steps made before it; 0 = before training.
  double loss = kNotMeasured;             ///< nats.
  double accuracy = kNotMeasured;         ///< share of pairs with a positive margin, 0 to 1.
  double margin = kNotMeasured;           ///< mean of chosen minus rejected reward, nats.
  double chosen_reward = kNotMeasured;    ///< mean implicit reward of the chosen, nats.
  double rejected_reward = kNotMeasured;  ///< mean implicit reward of the rejected, nats.
  double chosen_logps = kNotMeasured;     ///< mean summed log-probability of the chosen, nats.
  double rejected_logps = kNotMeasured;   ///< mean summed log-probability of the rejected, nats.
  int64_t comparisons = 0;                ///< held-out comparisons in this evaluation.
  double epoch = kNotMeasured;            ///< passes over the training data so far.
  double seconds = kNotMeasured;          ///< since the run began, over all its resumes.

  /// As StepRow::each, with the prefix `eval_` that TRL gives held-out figures.
  template <class Row, class Visitor>
  static void each(Row& row, Visitor&& visit) {
    visit("epoch", row.epoch);
    visit("eval_loss", row.loss);
    visit("eval_rewards/accuracies", row.accuracy);
    visit("eval_rewards/margins", row.margin);
    visit("eval_rewards/chosen", row.chosen_reward);
    visit("eval_rewards/rejected", row.rejected_reward);
    visit("eval_logps/chosen", row.chosen_logps);
    visit("eval_logps/rejected", row.rejected_logps);
    visit("eval_comparisons", row.comparisons);
    visit("seconds", row.seconds);
  }
};

}  // namespace attune::report
