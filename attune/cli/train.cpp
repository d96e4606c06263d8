// attune train: the run file's training; resumes by itself.
#include <optional>
#include <string>

#include <fmt/format.h>

#include "attune/cli/engine_commands.h"
#include "attune/cli/run_line.h"
#include "attune/cli/run_terminal.h"
#include "attune/core/stop.h"
#include "attune/train/run.h"

namespace attune::cli {

int train_command(Arguments arguments) {
  const std::optional<RunLine> line = read_run_line(kTrainUsage, arguments);
  if (!line) {
    return kGood;
  }
  train::check_run(line->run);
  check_paths(line->run);
  catch_stop_signals();
  std::string again = "attune train";
  for (const std::string_view argument : arguments) {
    again += fmt::format(" {}", argument);
  }
  RunTerminal terminal(line->log, line->run.train.log_every);
  return print_result(train::train(line->run, again, terminal), again);
}

}  // namespace attune::cli
