// What a run will take, before anything of it is loaded: what `attune plan` shows. Free of torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/train/machine.h"
#include "attune/train/memory_part.h"
#include "attune/train/rates.h"
#include "attune/train/run_options.h"

namespace attune::train {

/// A run's memory and time. The weights stay on the disk; the rows are tokenised, which the run
/// itself then need not do again.
struct RunPlan {
  std::string model;    ///< "LlamaForCausalLM, 30 layers, width 576, 134.5 M weights, f32".
  std::string trained;  ///< "LoRA r=8 on q_proj, v_proj: 460,800 numbers".
  std::string reference;
  Machine machine;

  std::vector<MemoryPart> memory;  ///< At the peak of a step.
  int64_t memory_bytes = 0;        ///< Their sum.
  bool recompute = false;          ///< Layers run again in the backward pass.

  data::BuildReport data;   ///< What became of the rows.
  int64_t comparisons = 0;  ///< To train on.
  int64_t labels = 0;       ///< Labelled completions to train on that nobody compared.
  int64_t held_out = 0;     ///< Comparisons held out.
  int64_t held_out_labels = 0;
  int64_t steps = 0;           ///< Optimizer steps of the whole run.
  double step_tokens = 0;      ///< Packed tokens of a step, on average.
  double step_scored = 0;      ///< Completion tokens of a step, on average.
  int64_t batch_tokens = 0;    ///< The token budget of a micro-batch.
  int64_t largest_tokens = 0;  ///< Packed tokens of the micro-batch that takes the most memory.

  std::string gemm;         ///< How matrix products are computed.
  Rates rates;              ///< Measured, of its products.
  double efficiency = 0;    ///< Share of that rate that a step reaches.
  double step_s = 0;        ///< Of one step.
  double training_s = 0;    ///< Of all steps.
  double evaluation_s = 0;  ///< Of all evaluations.
  int64_t evaluations = 0;  ///< How many, the one before the first step among them.
  double reference_s = 0;   ///< Of the reference's table, computed once; 0 without one.
  [[nodiscard]] double total_s() const {
    return training_s + evaluation_s + reference_s;
  }
};

/// Plans a run. @throws Error for anything that the run itself would refuse before it loads.
RunPlan plan_run(const RunOptions& run, Watcher& watcher);

}  // namespace attune::train
