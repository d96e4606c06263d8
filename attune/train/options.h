#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "attune/core/field.h"

namespace attune::train {

/// The `reference` section: the model that the policy is compared with.
struct ReferenceOptions {
  std::string kind = "auto";  ///< auto, base, model, cached or none.
  std::string path;           ///< The other model, for kind model.
  std::string cache_dir;      ///< Where kind cached keeps its files; empty: below train.output.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("kind",
          kind,
          {.help = "base: the same weights with the adapter off; cached: log-probs of the starting "
                   "weights, computed once and kept; model: another model; none: for objectives "
                   "without one; auto: base with an adapter, else cached",
           .one_of = {"auto", "base", "model", "cached", "none"}});
    field("path", path, {.help = "Hugging Face folder or .gguf file, for kind model"});
    field("cache_dir",
          cache_dir,
          {.help = "folder of the cached log-probs; empty is train.output/cache",
           .may_change = true});
  }
};

/// The `batch` section. `comparisons` is a scientific setting, `tokens` a matter of memory: any
/// token budget gives the same step.
struct BatchOptions {
  int64_t comparisons = 8;        ///< Comparisons that one optimizer step averages over, >= 1.
  std::optional<int64_t> tokens;  ///< Packed tokens that go through at once; unset: auto.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("comparisons",
          comparisons,
          {.help = "comparisons that one optimizer step averages over",
           .at_least = 1,
           .at_most = 1 << 30});
    field("tokens",
          tokens,
          {.help = "packed tokens that go through the model at once; changes memory and speed, "
                   "not the result; auto fits the machine",
           .at_least = 1,
           .may_change = true});
  }
};

/// The `train` section: the loop.
struct TrainOptions {
  std::string output;               ///< Folder of checkpoints, adapter and report; required.
  int64_t epochs = 1;               ///< Passes over the training pairs, 1 or more.
  int64_t max_steps = 0;            ///< Stop after this many optimizer steps; 0: all epochs.
  int64_t seed = 42;                ///< Of everything random in the run.
  int64_t eval_every = 0;           ///< Steps between evaluations; 0: after each epoch.
  int64_t save_every = 0;           ///< Steps between checkpoints; 0: with each evaluation.
  int64_t keep = 2;                 ///< Newest checkpoints kept beside the best one, 1 or more.
  int64_t early_stop_patience = 0;  ///< Evaluations without a better loss before the end; 0: off.
  bool checkpointing = false;       ///< Recompute each layer in the backward pass.
  int64_t log_every = 1;            ///< Steps between progress lines, 1 or more.
  int64_t threads = 0;              ///< CPU threads; 0: all.
  bool report = true;               ///< Write report.html.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("output",
          output,
          {.help = "folder for checkpoints, result and report; required", .may_change = true});
    field("epochs",
          epochs,
          {.help = "passes over the training pairs", .at_least = 1, .at_most = 1000000});
    field("max_steps",
          max_steps,
          {.help = "stop after this many optimizer steps; 0 runs all epochs", .at_least = 0});
    field("seed", seed, {.help = "of everything random in the run", .at_least = 0});
    field("eval_every",
          eval_every,
          {.help = "steps between evaluations on held-out pairs; 0 is after each epoch",
           .at_least = 0});
    field("save_every",
          save_every,
          {.help = "steps between checkpoints; 0 is with each evaluation",
           .at_least = 0,
           .may_change = true});
    field("keep",
          keep,
          {.help = "newest checkpoints kept, beside the best one",
           .at_least = 1,
           .may_change = true});
    field("early_stop_patience",
          early_stop_patience,
          {.help = "stop after this many evaluations without a lower held-out loss; 0 is never",
           .at_least = 0});
    field("checkpointing",
          checkpointing,
          {.help = "recompute each layer in the backward pass: less memory, a third more time",
           .may_change = true});
    field("log_every",
          log_every,
          {.help = "steps between progress lines", .at_least = 1, .may_change = true});
    field("threads",
          threads,
          {.help = "CPU threads; 0 is all", .at_least = 0, .at_most = 1024, .may_change = true});
    field("report", report, {.help = "write report.html at the end", .may_change = true});
  }
};

}  // namespace attune::train
