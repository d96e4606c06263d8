// The state of one training run and its phases; train() in run.h is the way in.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attune/data/sampler.h"
#include "attune/objective/registry.h"
#include "attune/optim/adamw.h"
#include "attune/report/metrics_file.h"
#include "attune/report/tensorboard.h"
#include "attune/train/checkpoint.h"
#include "attune/train/evaluate.h"
#include "attune/train/folder_lock.h"
#include "attune/train/reference.h"
#include "attune/train/run.h"
#include "attune/train/session.h"

namespace attune::train {

/// Held-out pairs with their rewards, in the output folder.
inline constexpr const char* kPairsBefore = "held_out_before.jsonl";
inline constexpr const char* kPairsAfter = "held_out_after.jsonl";

/// One call of train(). Opening is in run_open.cpp, the loop in run.cpp, the end in run_finish.cpp.
class Run {
 public:
  Run(const RunOptions& options, std::string command, RunObserver& observer);
  /// Opens, trains, finishes.
  RunResult go();

 private:
  using Clock = std::chrono::steady_clock;

  void resume();
  void open();
  void open_policy();
  Ending train_to_the_end();
  void choose_kernel();
  void choose_budget();
  void make_reference();
  void announce();
  void one_step();
  void evaluate_now();
  void check_weights() const;
  void save_checkpoint(bool finished);
  void write_weights(const std::filesystem::path& folder);
  RunResult finish(Ending ending);
  [[nodiscard]] std::string rows_of(std::span<const int64_t> groups) const;
  [[nodiscard]] double total_seconds() const;

  RunOptions options_;
  std::string command_;
  RunObserver& observer_;
  std::filesystem::path output_;
  Clock::time_point began_ = Clock::now();
  FolderLock lock_;
  Checkpoints checkpoints_;
  Machine machine_ = this_machine();

  std::optional<std::filesystem::path> resumed_from_;
  Progress progress_;
  double seconds_before_ = 0;

  model::Source source_;
  std::string source_key_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::optional<RunData> data_;
  std::unique_ptr<model::Decoder> policy_;
  objective::Objective objective_;
  std::string reference_kind_;
  std::unique_ptr<Reference> reference_;           // of the training pairs
  std::unique_ptr<Reference> held_out_reference_;  // of the held-out pairs, remembered
  std::optional<optim::AdamW> optimizer_;
  std::vector<std::string> parameter_names_;
  std::optional<data::StepSampler> sampler_;
  std::optional<report::MetricsFile> metrics_;
  std::optional<report::EventFile> events_;  // for TensorBoard
  PlanInput plan_;
  int64_t steps_ = 0;
  int64_t eval_every_ = 0;
  double gemm_gflops_ = 0;
  double first_step_s_ = 0;
  int64_t steps_here_ = 0;
  Clock::time_point first_step_began_;
  Clock::time_point last_save_ = Clock::now();
  std::optional<Evaluation> before_;
  std::optional<Evaluation> latest_;
};

}  // namespace attune::train
