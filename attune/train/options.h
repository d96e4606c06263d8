#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attune/core/field.h"

namespace attune::train {

/// The `reference` section: the model that the policy is compared with.
struct ReferenceOptions {
  std::string kind = "auto";  ///< auto, base, model, models, cached or none.
  std::string path;           ///< The other model, for kind model.
  std::string cache_dir;      ///< Where kind cached keeps its files; empty: below train.output.
  std::vector<std::string> paths;    ///< The other models, for kind models; two or more.
  std::vector<std::string> weights;  ///< Their shares, numbers that sum to 1; empty: equal shares.
  std::string mix = "geometric";     ///< How kind models makes one of several.
  int64_t sync_every = 0;            ///< Steps between pulls to the policy; 0: never.
  double sync_mix = 0.6;             ///< How far each pull goes, in (0, 1]; 1: all the way.

  template <class Visitor>
  void fields(Visitor&& field) {
    field(
        "kind",
        kind,
        {.help =
             "base: the same weights with the adapter off; cached: log-probs of the starting "
             "weights, computed once and kept; model: another model; none: for objectives "
             "without one; models: several others as one; auto: base with an adapter, else cached, "
             "or model with a second copy of the starting weights where the objective or "
             "sync_every needs it",
         .one_of = {"auto", "base", "model", "models", "cached", "none"}});
    field("path", path, {.help = "Hugging Face folder or .gguf file, for kind model"});
    field("cache_dir",
          cache_dir,
          {.help = "folder of the cached log-probs; empty is train.output/cache",
           .may_change = true});
    field("paths",
          paths,
          {.help = "Hugging Face folders or .gguf files, for kind models; one vocabulary"});
    field("weights",
          weights,
          {.help = "share of each of the paths, numbers above 0 that sum to 1; none is equal "
                   "shares"});
    field("mix",
          mix,
          {.help = "how kind models mixes: geometric is the weighted mean of the log-probs; mrpo "
                   "the weighted harmonic mean of the probabilities",
           .one_of = {"geometric", "mrpo"}});
    field("sync_every",
          sync_every,
          {.help = "steps after which the reference is pulled to the policy (TR-DPO); 0 is never",
           .at_least = 0});
    field("sync_mix",
          sync_mix,
          {.help = "how far each pull goes: the policy's share of the new reference; 1 is a copy",
           .above = 0,
           .at_most = 1});
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
          {.help = "comparisons that one optimizer step averages over; a labelled answer without a "
                   "pair counts as one",
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
  std::string output;                 ///< Folder of checkpoints, adapter and report; required.
  int64_t epochs = 1;                 ///< Passes over the training pairs, 1 or more.
  int64_t max_steps = 0;              ///< Stop after this many optimizer steps; 0: all epochs.
  int64_t seed = 42;                  ///< Of everything random in the run.
  int64_t eval_every = 0;             ///< Steps between evaluations; 0: after each epoch.
  int64_t save_every = 0;             ///< Steps between checkpoints; 0: with each evaluation.
  int64_t keep = 2;                   ///< Newest checkpoints kept beside the best one, 1 or more.
  int64_t early_stop_patience = 0;    ///< Evaluations without a better loss before the end; 0: off.
  std::optional<bool> checkpointing;  ///< Recompute each layer in the backward pass; unset: auto.
  int64_t log_every = 1;              ///< Steps between progress lines, 1 or more.
  int64_t threads = 0;                ///< CPU threads; 0: all.
  bool report = true;                 ///< Write report.html.

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
          {.help = "stop after this many evaluations without a lower held-out loss; 0 is never. "
                   "Not with a moving reference, nor with beta_dpo, bco_unpaired or a constraint "
                   "whose dual moves: their losses of two steps are of two functions",
           .at_least = 0});
    field("checkpointing",
          checkpointing,
          {.help = "recompute each layer in the backward pass: less memory, a third more time; "
                   "auto does so where the run would not fit into the free memory",
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
