// The command line of commands that take a run file: attune train run.yaml --optim.lr=1e-5.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attune/cli/command_line.h"
#include "attune/train/run_options.h"

namespace attune::cli {

extern const Usage kTrainUsage;
extern const Usage kPlanUsage;

/// What such a command was asked.
struct RunLine {
  train::RunOptions run;
  LogKind log = LogKind::kText;
};

/// Reads the run file and its flags; without a file, flags alone make the run.
/// @return Nothing if --help was asked for; it is printed then.
std::optional<RunLine> read_run_line(const Usage& usage, Arguments arguments);

/// The same for a line that may have flags of its own.
std::optional<RunLine> read_run_line(CommandLine& line, Arguments arguments);

/// That `path`, unless it is empty, is there.
/// @param what Names the option in the error, which also names the nearest file beside the path.
void check_path(std::string_view what, const std::string& path);

/// That what the run reads is there: the model, the data, the adapter to start from.
/// @throws Error naming the option and the path.
void check_paths(const train::RunOptions& run);

}  // namespace attune::cli
