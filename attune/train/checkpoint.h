// Checkpoints: a folder that PEFT or transformers can load, the optimizer, and what else a run
// needs to go on bit for bit. Written beside and renamed; every file has a checksum.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attune/optim/adamw.h"

namespace attune::train {

/// What a reference that follows the policy has changed since the start, in a checkpoint.
inline constexpr const char* kReferenceFile = "reference.safetensors";

/// Everything of a run that is neither weights nor optimizer state. Random numbers are functions of
/// seed and step, and the data's order of seed and epoch, so the step says it all.
struct Progress {
  int64_t step = 0;         ///< Optimizer steps made.
  int64_t tokens = 0;       ///< Packed tokens trained on.
  int64_t comparisons = 0;  ///< Comparisons trained on.
  double seconds = 0;       ///< Wall clock over all starts.
  int64_t starts = 1;       ///< How often the run was started.
  int64_t best_step = -1;   ///< Step of the lowest held-out loss; -1: not evaluated.
  double best_loss = 0;     ///< That loss.
  int64_t evals_since_best = 0;
  int64_t last_eval_step = -1;
  bool finished = false;
  std::string gemm;          ///< The matrix kernel that the run chose.
  int64_t batch_tokens = 0;  ///< The token budget that the run chose.
  int64_t threads = 0;
  /// What the objective's terms carry from step to step, one a term.
  std::vector<std::map<std::string, double>> terms;
  /// Weights in the loss by tag, of data.group_robust; empty: it is off or has not begun.
  std::map<std::string, double> tag_weights;
  std::string model_key;  ///< Fingerprint of the starting weights.
  std::string data_key;   ///< Key of the token cache.
};

/// The checkpoints of one run, in `<output>/checkpoints/step-<n>/`.
class Checkpoints {
 public:
  explicit Checkpoints(std::filesystem::path folder);

  /// Writes the checkpoint of progress.step: `weights(folder)` puts the model's files, the rest is
  /// done here. Older ones but the newest `keep` and the best are removed afterwards.
  /// @throws Error if the disk is full; the older checkpoints are then untouched.
  void save(const Progress& progress,
            const optim::AdamW& optimizer,
            const std::vector<std::string>& parameter_names,
            const std::function<void(const std::filesystem::path&)>& weights,
            int64_t keep);

  /// The newest checkpoint whose checksums hold; `rejected` gets a line for each that was passed
  /// over.
  [[nodiscard]] std::optional<std::filesystem::path> newest(
      std::vector<std::string>& rejected) const;

  /// The folder of one step.
  [[nodiscard]] std::filesystem::path at(int64_t step) const;

 private:
  [[nodiscard]] std::vector<int64_t> steps() const;
  std::filesystem::path folder_;
};

/// Copies the model's files of a checkpoint (what PEFT or transformers reads) to `folder`, which is
/// replaced as a whole.
void copy_weights(const std::filesystem::path& checkpoint, const std::filesystem::path& folder);

/// Whether `folder` has the checkpoint's model files, by the checkpoint's checksums.
/// @throws Error as read_progress.
bool holds_weights(const std::filesystem::path& checkpoint, const std::filesystem::path& folder);

/// @throws Error if the folder is no checkpoint, or a file of it differs from its checksum.
Progress read_progress(const std::filesystem::path& checkpoint);

/// Puts the saved moments into the optimizer. @throws Error if they are of other parameters.
void restore_optimizer(const std::filesystem::path& checkpoint,
                       const std::vector<std::string>& parameter_names,
                       optim::AdamW& optimizer);

}  // namespace attune::train
