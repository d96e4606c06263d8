// metrics.jsonl: one JSON object a line for each step and each evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "attune/report/rows.h"

namespace attune::report {

/// `keep_through_step` of a run that starts anew: no line is kept.
inline constexpr int64_t kKeepNothing = -1;

/// Appends rows; each is on its way to the disk when write() returns, so a killed run loses none.
class MetricsFile {
 public:
  /// Opens or makes the file. Lines past `keep_through_step` and a torn last line are dropped: give
  /// the checkpoint's step on resume and kKeepNothing on a new run.
  /// @throws Error if the file cannot be opened, or a line before the last is broken.
  MetricsFile(std::filesystem::path path, int64_t keep_through_step);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  /// @throws Error with the system's reason if the line cannot be written; the file then ends with
  /// the line before.
  void write(const StepRow& row);
  void write(const EvalRow& row);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// The rows of a metrics file, in file order.
struct Metrics {
  std::vector<StepRow> steps = {};
  std::vector<EvalRow> evals = {};
};

/// Reads a metrics file; a torn last line is ignored, a null figure is kNotMeasured, unknown keys
/// are skipped. @throws Error naming file and line if a line before the last is broken.
Metrics read_metrics(const std::filesystem::path& path);

}  // namespace attune::report
