// How a training run looks on a terminal, in a log file, or as JSON lines.
#pragma once

#include "attune/cli/terminal.h"
#include "attune/train/run.h"

namespace attune::cli {

/// Prints what a run tells, to stderr.
class RunTerminal : public train::RunObserver {
 public:
  RunTerminal(LogKind kind, int64_t log_every) : kind_(kind), log_every_(log_every), out_(kind) {}

  void progress(std::string_view task, int64_t done, int64_t total) override;
  void note(std::string_view line) override;
  void warn(std::string_view line) override;
  void started(const train::RunStart& start) override;
  void stepped(const report::StepRow& row, const train::StepClock& clock) override;
  void evaluated(const report::EvalRow& row) override;
  void saved(const std::filesystem::path& checkpoint) override;

 private:
  LogKind kind_;
  int64_t log_every_;
  Terminal out_;
};

/// What a finished or stopped run says on stdout, and the exit code that goes with it.
/// @param again  The command that goes on.
/// "218 GFLOP/s", or "218 GFLOP/s forward, 380 backward".
std::string rates_text(const train::Rates& rates);

int print_result(const train::RunResult& result, const std::string& again);

}  // namespace attune::cli
