// Training as a whole: the facade that programs call. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "attune/config/resolve.h"
#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/report/report.h"
#include "attune/report/rows.h"
#include "attune/train/machine.h"
#include "attune/train/rates.h"
#include "attune/train/run_options.h"

namespace attune::train {

/// What a run tells before its first step.
struct RunStart {
  std::string model;         ///< "LlamaForCausalLM, 30 layers, width 576, 134.5 M weights".
  int64_t trained = 0;       ///< Numbers that training changes.
  int64_t weights = 0;       ///< Numbers of the base model.
  std::string trained_what;  ///< "LoRA r=8 on q_proj, v_proj" or "every weight".
  std::string reference;     ///< base, model, cached or none, and why if not plain.
  data::BuildReport data;    ///< What became of the rows.
  int64_t train_comparisons = 0;
  int64_t train_labels = 0;  ///< Labelled completions that nobody compared.
  int64_t held_out_comparisons = 0;
  int64_t held_out_labels = 0;
  int64_t steps = 0;          ///< Optimizer steps of the whole run.
  int64_t first_step = 0;     ///< Steps already made by earlier starts.
  int64_t batch_tokens = 0;   ///< Packed tokens of a micro-batch at most.
  bool recompute = false;     ///< Layers run again in the backward pass.
  int64_t planned_bytes = 0;  ///< Peak memory by the plan.
  std::string gemm;           ///< How matrix products are computed.
  Rates rates;                ///< Measured, of these products.
  Machine machine;
  std::vector<config::Difference> options;  ///< What differs from the defaults.
};

/// Where a run stands after a step.
struct StepClock {
  int64_t steps = 0;          ///< Of the whole run.
  double seconds_left = 0;    ///< By the steps of this start so far.
  double share_of_limit = 0;  ///< Needed arithmetic over time and measured rate, 0 to 1.
};

/// Hears a run. The default hears nothing.
class RunObserver : public Watcher {
 public:
  virtual void started(const RunStart& start) {
    (void)start;
  }
  virtual void stepped(const report::StepRow& row, const StepClock& clock) {
    (void)row, (void)clock;
  }
  virtual void evaluated(const report::EvalRow& row) {
    (void)row;
  }
  virtual void saved(const std::filesystem::path& checkpoint) {
    (void)checkpoint;
  }
};

/// How a call ended.
enum class Ending {
  kFinished,         ///< All steps are made.
  kEarlyStop,        ///< The held-out loss stopped falling.
  kStopped,          ///< A stop was asked for; the next start goes on.
  kAlreadyFinished,  ///< An earlier start had made all steps.
};

/// What a run leaves behind.
struct RunResult {
  Ending ending = Ending::kFinished;
  int64_t step = 0;              ///< Steps made in all.
  int64_t steps = 0;             ///< Steps of the whole run.
  std::filesystem::path result;  ///< Folder of the adapter or model; empty when stopped.
  std::filesystem::path report;  ///< The page; empty if none was written.
  report::RunReport page;        ///< What the page shows.
  double seconds = 0;            ///< Wall clock over all starts.
  double first_step_s = 0;       ///< From this start to the end of its first step.
  int64_t peak_bytes = 0;
  bool saved = true;  ///< There is a checkpoint to go on from.
};

/// Runs, or goes on with, the training that `run` describes, in `run.train.output`:
///
///   run.yaml  metrics.jsonl  tensorboard/  held_out_before.jsonl  held_out_after.jsonl
///   checkpoints/step-<n>/  adapter/ or model/ with README.md  report.html
///
/// A start on a folder with checkpoints goes on from the newest whole one and ends with the same
/// bits as a run that was never stopped (same machine, same number of threads).
///
/// @param command  What the report names as the way to reproduce it.
/// @throws Error for anything the user can mend; nothing is left half written.
RunResult train(const RunOptions& run, const std::string& command, RunObserver& observer);

}  // namespace attune::train
