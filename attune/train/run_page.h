// What a run shows of itself: the report page, the model card, the held-out figures row by row.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attune/report/report.h"
#include "attune/train/checkpoint.h"
#include "attune/train/evaluate.h"
#include "attune/train/run.h"
#include "attune/train/session.h"

namespace attune::train {

/// Everything that the page is made from.
struct PageParts {
  const RunOptions& run;
  std::string command;
  const Progress& progress;
  Ending ending = Ending::kFinished;
  int64_t steps = 0;
  const Machine& machine;
  Rates rates;
  double seconds = 0;
  int64_t peak_bytes = 0;
  const RunData& data;
  const std::optional<Evaluation>& before;  ///< Held-out pairs before training.
  const std::optional<Evaluation>& after;   ///< At the last evaluation.
};

/// The report's content; its steps are read from metrics.jsonl in the output folder.
report::RunReport make_page(const PageParts& parts);

/// README.md in `folder`, which holds the result.
void write_card(const PageParts& parts, const std::filesystem::path& folder);

/// Share of the pairs with a positive margin, ties counted half, with its 95 % Wilson interval. A
/// new adapter's margins are all 0: that is a half, not a failure.
report::Interval accuracy_interval(const Evaluation& evaluation);

/// One JSON object a pair: where the row stands in its file, rewards, margin, weight.
void write_pairs(const std::filesystem::path& file,
                 const Evaluation& evaluation,
                 const data::TokenCache& cache);

/// The pairs of such a file; nothing if there is none.
std::optional<Evaluation> read_pairs(const std::filesystem::path& file);

}  // namespace attune::train
