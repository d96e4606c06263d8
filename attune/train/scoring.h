// Scoring files of preferences with a model: what `attune score` does. Free of torch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/options.h"
#include "attune/data/token_cache.h"
#include "attune/model/options.h"
#include "attune/report/interval.h"

namespace attune::train {

/// What is scored, by which model, against which reference.
struct ScoringOptions {
  model::ModelOptions model;
  std::string adapter;        ///< PEFT folder; empty: none.
  std::string reference;      ///< Another model; empty: the base of `adapter`, or none without one.
  double beta = 0.1;          ///< Factor of the implicit rewards, above 0.
  int64_t max_tokens = 2048;  ///< Packed tokens that go through at once, 1 or more.
  int64_t threads = 0;        ///< CPU threads; 0: all.
  /// How the files are read; its own file lists are not looked at, and its max_tokens is the
  /// model's window if that is shorter.
  data::DataOptions data;
  std::vector<std::string> files;
};

/// log pi of one completion.
struct ScoredCompletion {
  double logps = 0;                       ///< Sum over its tokens, nats.
  int64_t tokens = 0;                     ///< Tokens summed over, 1 or more.
  std::optional<double> reference_logps;  ///< The same by the reference, if there is one.
  std::optional<double> reward;           ///< beta (logps - reference_logps).
};

/// One comparison of a row, with its margins: what the winner is ahead by.
struct ScoredComparison {
  int32_t winner = 0;            ///< Index into the row's completions.
  int32_t loser = 0;             ///< Index into the row's completions.
  double logps_margin = 0;       ///< Of the log-probs, nats.
  double mean_logps_margin = 0;  ///< Of the log-probs per token, nats.
  std::optional<double> margin;  ///< Of the rewards.
};

/// One row of a file.
struct ScoredRow {
  std::string where;  ///< "file:line".
  int64_t prompt_tokens = 0;
  std::vector<ScoredCompletion> completions;
  std::vector<ScoredComparison> comparisons;
};

/// What all rows come to. Shares count a margin of 0 half; without comparisons they are nothing.
struct ScoringSummary {
  data::BuildReport data;  ///< What became of the rows.
  int64_t rows = 0;        ///< Rows scored.
  int64_t all_rows = 0;    ///< Rows that can be scored; more than `rows` if stopped.
  int64_t completions = 0;
  int64_t comparisons = 0;
  int64_t tokens = 0;                                   ///< Packed tokens scored.
  std::optional<report::Interval> accuracy;             ///< Share of margins above 0.
  std::optional<report::Interval> logps_accuracy;       ///< The same for logps_margin.
  std::optional<report::Interval> mean_logps_accuracy;  ///< The same for mean_logps_margin.
  double mean_margin = 0;  ///< Over the comparisons; 0 without reference.
  double seconds = 0;      ///< Of the scoring, without loading.
  bool stopped = false;    ///< A stop was asked for; rows are missing.
};

/// Scores every row of the files, in their order. `on_row` gets each row as soon as it is ready.
/// @throws Error as loading, reading and tokenising do.
ScoringSummary score_files(const ScoringOptions& options,
                           const std::function<void(const ScoredRow&)>& on_row,
                           Watcher& watcher);

}  // namespace attune::train
