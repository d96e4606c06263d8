// The report of a run: one HTML page that needs no network.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attune/report/interval.h"
#include "attune/report/rows.h"

namespace attune::report {

/// One held-out prompt with the model's answers before and after training.
struct Sample {
  std::string prompt = {};     ///< what was asked.
  std::string before = {};     ///< the model's answer before training.
  std::string after = {};      ///< the model's answer after training.
  std::string preferred = {};  ///< the chosen answer of the data; empty = not shown.
};

/// All that the page shows. What is empty is left out of the page.
struct RunReport {
  std::string title = {};    ///< the run's name.
  std::string version = {};  ///< attune's version.
  std::string command = {};  ///< the exact command that reproduces the run.
  std::string status = {};   ///< "finished", "stopped at step 120", "finished, resumed 2 times".
  std::vector<StepRow> steps = {};               ///< in rising order of step.
  std::vector<EvalRow> evals = {};               ///< in rising order of step.
  std::optional<Interval> accuracy_before = {};  ///< held-out reward accuracy before training.
  std::optional<Interval> accuracy_after = {};   ///< held-out reward accuracy after training.
  std::vector<double> margins_before = {};       ///< held-out margins before training, nats.
  std::vector<double> margins_after = {};        ///< held-out margins after training, nats.
  std::vector<double> chosen_rewards = {};       ///< held-out rewards after training, nats.
  std::vector<double> rejected_rewards = {};     ///< held-out rewards after training, nats.
  std::vector<double> chosen_tokens = {};        ///< completion lengths of at most 65,536 groups.
  std::vector<double> rejected_tokens = {};      ///< completion lengths of at most 65,536 groups.
  std::vector<Sample> samples = {};              ///< prompts answered before and after.
  /// Each option that differs from its default: key, default, value.
  std::vector<std::array<std::string, 3>> options_changed = {};
  /// Names and counts of the data: rows, pairs, dropped rows with the reason.
  std::vector<std::pair<std::string, std::string>> data_counts = {};
  std::vector<std::pair<std::string, std::string>> machine = {};  ///< hardware and versions.
  std::vector<std::pair<std::string, std::string>> files = {};    ///< what the file is, its path.
  std::vector<std::string> next_commands = {};                    ///< shell commands to go on with.
  std::vector<std::string> warnings = {};                         ///< sentences.
  std::string run_yaml = {};                                      ///< the resolved run file.
};

/// The page: HTML with its style, charts (SVG) and script inline; loads nothing. Text is taken as
/// UTF-8 and escaped; invalid bytes show as U+FFFD.
std::string to_html(const RunReport& run);

/// Writes the page, whole or not at all. @throws Error if it cannot be written.
void write_report(const std::filesystem::path& path, const RunReport& run);

}  // namespace attune::report
