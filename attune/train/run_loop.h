// The state of one training run and its phases; train() in run.h is the way in.
#pragma once

#include <chrono>
#include <filesystem>
#include <future>
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
#include "attune/train/group_weights.h"
#include "attune/train/moving_reference.h"
#include "attune/train/reference.h"
#include "attune/train/run.h"
#include "attune/train/session.h"

namespace attune::train {

/// Held-out pairs with their rewards, in the output folder.
inline constexpr const char* kPairsBefore = "held_out_before.jsonl";
inline constexpr const char* kPairsAfter = "held_out_after.jsonl";

/// One call of train(). Opening is in run_open.cpp and run_reference.cpp, the
/// loop in run.cpp, the end in run_finish.cpp.
class Run {
 public:
  Run(const RunOptions& options, std::string command, RunObserver& observer);
  /// Opens, trains, finishes.
  RunResult go();

 private:
  using Clock = std::chrono::steady_clock;

  void check_ours() const;
  void resume();
  void open();
  void open_policy();
  Ending train_to_the_end();
  void choose_kernel();
  void choose_budget();
  void make_reference();
  [[nodiscard]] std::vector<int64_t> groups_ahead() const;
  void make_cached_reference();
  void make_moving_reference(const ReferenceOptions& options);
  void sync_reference();
  [[nodiscard]] std::unique_ptr<model::Decoder> other_model(const std::string& path) const;
  void announce();
  [[nodiscard]] int64_t largest_group() const;
  [[nodiscard]] int64_t most_tokens() const;
  void tell_noise();
  [[nodiscard]] std::vector<int64_t> groups_of(int64_t step) const;
  std::vector<PreferenceBatch> batches_now();
  void one_step();
  void evaluate_now();
  void warn_of_displacement();
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
  std::unique_ptr<Reference> reference_;           // of the training pairs
  std::unique_ptr<Reference> held_out_reference_;  // of the held-out pairs, remembered
  MovingReference* moving_ = nullptr;              // reference_, if it follows the policy
  std::optional<optim::AdamW> optimizer_;
  std::vector<std::string> parameter_names_;
  std::optional<data::StepSampler> sampler_;
  std::optional<GroupWeights> group_weights_;  // of data.group_robust
  std::optional<report::MetricsFile> metrics_;
  std::optional<report::EventFile> events_;  // for TensorBoard
  PlanInput plan_;
  int64_t steps_ = 0;
  int64_t eval_every_ = 0;
  Rates rates_;
  double first_step_s_ = 0;
  int64_t steps_here_ = 0;
  double steps_s_ = 0;  // what the steps of this start took
  Clock::time_point last_save_ = Clock::now();
  std::optional<Evaluation> before_;
  std::optional<report::EvalRow> first_eval_;  // before the first step
  std::optional<Evaluation> latest_;
  bool warned_of_displacement_ = false;
  std::future<std::vector<PreferenceBatch>> ahead_;  // the next step's; reads members above it
};

}  // namespace attune::train
