#include <cmath>

#include <ATen/ops/aminmax.h>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/train/run_loop.h"
#include "attune/train/run_page.h"

namespace attune::train {

namespace fs = std::filesystem;

void Run::write_weights(const fs::path& folder) {
  if (plan_.full) {
    model::save_model(*policy_, source_, folder, at::kFloat);
  } else {
    adapter::save_peft(linear_layers(*policy_), options_.model.path, folder);
  }
}

// A run that went to pieces must not be kept as if it were good: not in a checkpoint, not as
// result.
void Run::check_weights() const {
  for (size_t i = 0; i < parameter_names_.size(); ++i) {
    // The extremes, since isfinite() makes copies as large as the weight.
    const auto [low, high] = at::aminmax(optimizer_->parameters()[i].detach());
    check(std::isfinite(low.item<double>()) && std::isfinite(high.item<double>()),
          "step {}: {} is no longer finite, and is not saved; lower optim.lr and begin in another "
          "train.output",
          progress_.step,
          parameter_names_[i]);
  }
}

void Run::save_checkpoint(bool finished) {
  check_weights();
  progress_.seconds = total_seconds();
  progress_.finished = finished;
  checkpoints_.save(
      progress_,
      *optimizer_,
      parameter_names_,
      [this](const fs::path& folder) {
        write_weights(folder);
        if (moving_ != nullptr) {
          moving_->save(folder / kReferenceFile);
        }
      },
      options_.train.keep);
  last_save_ = Clock::now();
  observer_.saved(checkpoints_.at(progress_.step));
}

RunResult Run::finish(Ending ending) {
  RunResult result;
  result.ending = ending;
  result.step = progress_.step;
  result.steps = steps_;
  result.seconds = ending == Ending::kAlreadyFinished ? progress_.seconds : total_seconds();
  result.first_step_s = first_step_s_;
  result.peak_bytes = peak_memory_bytes();
  before_ = read_pairs(output_ / kPairsBefore);
  const std::optional<Evaluation> after = read_pairs(output_ / kPairsAfter);
  const PageParts parts{.run = options_,
                        .command = command_,
                        .progress = progress_,
                        .ending = ending,
                        .steps = steps_,
                        .machine = machine_,
                        .rates = rates_,
                        .seconds = result.seconds,
                        .peak_bytes = result.peak_bytes,
                        .data = *data_,
                        .before = before_,
                        .after = after};
  result.page = make_page(parts);
  if (ending == Ending::kStopped) {
    return result;
  }
  // Also where an earlier start was killed between its last checkpoint and this.
  result.result = output_ / (plan_.full ? "model" : "adapter");
  const bool early = progress_.step < steps_;
  // After an early stop the weights of the lowest held-out loss are the result.
  const fs::path from = checkpoints_.at(early ? progress_.best_step : progress_.step);
  const bool again = ending == Ending::kAlreadyFinished;
  const bool damaged = again && fs::exists(result.result) && !holds_weights(from, result.result);
  if (damaged) {
    observer_.warn(fmt::format("{}: differs from what the run saved; it is written anew from {}",
                               result.result.string(),
                               from.string()));
  }
  if (!again || damaged || !fs::exists(result.result / "README.md")) {
    copy_weights(from, result.result);
    write_card(parts, result.result);
  }
  if (options_.train.report) {
    result.report = output_ / "report.html";
    if (ending != Ending::kAlreadyFinished || !fs::exists(result.report)) {
      report::write_report(result.report, result.page);
    }
  }
  return result;
}

}  // namespace attune::train
