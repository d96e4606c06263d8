#include "attune/train/run.h"

#include <algorithm>
#include <cmath>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/random.h"
#include "attune/core/stop.h"
#include "attune/optim/schedule.h"
#include "attune/train/run_loop.h"
#include "attune/train/run_page.h"
#include "attune/train/score.h"
#include "attune/train/step.h"

namespace attune::train {
namespace {

// Work lost at most to a killed process, beside the checkpoints that the run file asks for.
constexpr double kSaveEverySeconds = 120;

// The weights of tags, for the metrics; where there are many, the largest one alone.
void add_tag_weights(const std::map<std::string, double>& weights,
                     std::map<std::string, double>& figures) {
  constexpr size_t kFew = 20;
  double largest = 0;
  for (const auto& [tag, weight] : weights) {
    largest = std::max(largest, weight);
    if (weights.size() <= kFew) {
      figures["tag_weight." + tag] = weight;
    }
  }
  figures["largest_tag_weight"] = largest;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

RunResult Run::go() {
  try {
    open();
    if (progress_.finished) {
      choose_budget();
      return finish(Ending::kAlreadyFinished);
    }
    choose_kernel();
    choose_budget();
    open_policy();
    announce();
    tell_noise();
    make_reference();
    write_file(output_ / "run.yaml", std::string(kRunFileHead) + to_yaml(options_));
    metrics_.emplace(output_ / "metrics.jsonl",
                     resumed_from_ ? progress_.step : report::kKeepNothing);
    events_.emplace(output_ / "tensorboard",
                    resumed_from_ ? std::optional(progress_.step) : std::nullopt);
    return finish(train_to_the_end());
  } catch (const Stopped&) {
    if (!metrics_) {  // before the first step of this start
      RunResult result;
      result.ending = Ending::kStopped;
      result.step = progress_.step;
      result.steps = steps_;
      result.saved = resumed_from_.has_value();
      return result;
    }
    save_checkpoint(/*finished=*/false);
    return finish(Ending::kStopped);
  }
}

// What is due after a step is asked before the next one, so that a run stopped in between does it
// when it goes on.
Ending Run::train_to_the_end() {
  for (;; one_step()) {
    const bool last = progress_.step == steps_;
    const bool on_schedule = last || progress_.step % eval_every_ == 0;
    if (!data_->held_out.empty() && on_schedule && progress_.last_eval_step < progress_.step) {
      evaluate_now();
    }
    const bool early = options_.train.early_stop_patience > 0 &&
                       progress_.evals_since_best >= options_.train.early_stop_patience;
    const int64_t save_every =
        options_.train.save_every > 0 ? options_.train.save_every : eval_every_;
    if (last || early || progress_.step % save_every == 0 ||
        seconds_since(last_save_) > kSaveEverySeconds) {
      save_checkpoint(/*finished=*/last || early);
    }
    if (last || early) {
      return early && !last ? Ending::kEarlyStop : Ending::kFinished;
    }
    if (stop_requested()) {
      throw Stopped();
    }
  }
}

std::vector<int64_t> Run::groups_of(int64_t step) const {
  std::vector<int64_t> groups;
  for (const int64_t i : sampler_->groups_of(step)) {
    groups.push_back(data_->train[static_cast<size_t>(i)]);
  }
  return groups;
}

// The next step's are read and packed by another thread while this one is computed.
std::vector<PreferenceBatch> Run::batches_now() {
  const auto pack = [this, tokens = progress_.batch_tokens](const std::vector<int64_t>& groups) {
    return batches_of(data_->cache, groups, objective_, tokens);
  };
  std::vector<PreferenceBatch> batches =
      ahead_.valid() ? ahead_.get() : pack(groups_of(progress_.step));
  if (progress_.step + 1 < steps_) {
    ahead_ = std::async(std::launch::async, pack, groups_of(progress_.step + 1));
  }
  return batches;
}

void Run::one_step() {
  const auto step_began = Clock::now();
  const std::vector<int64_t> groups = groups_of(progress_.step);
  std::vector<PreferenceBatch> batches = batches_now();
  const uint64_t dropout_key =
      random_word(stream_key(static_cast<uint64_t>(options_.train.seed), "dropout"),
                  static_cast<uint64_t>(progress_.step));
  StepParts parts;
  if (group_weights_) {
    std::ranges::for_each(batches, [this](PreferenceBatch& b) { group_weights_->scale(b); });
    parts.hear = [this](std::span<const PreferenceBatch> heard, const auto& out) {
      group_weights_->hear(objective_, heard, out);
    };
  }
  parts.objective = &objective_;
  parts.state = &progress_.terms;
  parts.optimizer = &*optimizer_;
  parts.max_grad_norm = options_.optim.max_grad_norm;
  parts.reference = [&](const PreferenceBatch& batch) { return reference_->logps(batch); };
  parts.policy = [&](const PreferenceBatch& batch) {
    const adapter::Pass pass{.adapters = true,
                             .dropout = true,
                             .dropout_key = dropout_key,
                             .row_keys_N = batch.row_keys_N};
    ScoreOptions scoring = score_options(objective_, *reference_, batch);
    scoring.recompute = plan_.recompute;
    return score(*policy_, batch, pass, scoring);
  };
  const double lr = optim::learning_rate(options_.optim, progress_.step, steps_);
  StepReport report;
  try {
    report = run_step(parts, batches, lr);
  } catch (const Error& e) {
    throw Error(fmt::format(
        "step {}: {}\nThe rows of this step: {}", progress_.step + 1, e.what(), rows_of(groups)));
  }

  const double took = seconds_since(step_began);
  ++progress_.step;
  if (group_weights_) {
    group_weights_->move();
    progress_.tag_weights = group_weights_->weights();
    add_tag_weights(progress_.tag_weights, report.mean.figures);
  }
  if (moving_ != nullptr && progress_.step % options_.reference.sync_every == 0) {
    sync_reference();
  }
  ++steps_here_;
  steps_s_ += took;
  if (steps_here_ == 1) {
    first_step_s_ = seconds_since(began_);
  }
  progress_.tokens += report.mean.tokens;
  progress_.comparisons += report.mean.comparisons;
  progress_.seconds = total_seconds();
  int64_t scored = 0;
  for (const PreferenceBatch& batch : batches) {
    scored += batch.row_C.size(0);
  }
  const report::StepRow row{.step = progress_.step,
                            .loss = report.mean.loss,
                            .accuracy = report.mean.accuracy,
                            .margin = report.mean.margin,
                            .grad_norm = report.grad_norm,
                            .lr = lr,
                            .chosen_reward = report.mean.chosen_reward,
                            .rejected_reward = report.mean.rejected_reward,
                            .chosen_logps = report.mean.chosen_logps,
                            .rejected_logps = report.mean.rejected_logps,
                            .tokens_per_s = static_cast<double>(report.mean.tokens) / took,
                            .seconds = progress_.seconds,
                            .epoch = static_cast<double>(progress_.step) /
                                     static_cast<double>(sampler_->steps_per_epoch()),
                            .tokens = progress_.tokens,
                            .comparisons = progress_.comparisons,
                            .terms = report.mean.figures};
  metrics_->write(row);
  events_->write(row);
  const double needed_s = needed_seconds(source_.shape, plan_, report.mean.tokens, scored, rates_);
  observer_.stepped(row,
                    {.steps = steps_,
                     .seconds_left = steps_s_ / static_cast<double>(steps_here_) *
                                     static_cast<double>(steps_ - progress_.step),
                     .share_of_limit = needed_s / took});
}

void Run::evaluate_now() {
  check_weights();
  latest_ = evaluate(*policy_,
                     *held_out_reference_,
                     objective_,
                     data_->held_out_cache(),
                     data_->held_out,
                     progress_.batch_tokens,
                     observer_,
                     &progress_.terms);
  check(std::isfinite(latest_->mean.loss),
        "step {}: the held-out loss is {}; lower optim.lr and begin in another train.output",
        progress_.step,
        latest_->mean.loss);
  if (progress_.step == 0) {
    before_ = latest_;
    write_pairs(output_ / kPairsBefore, *before_, data_->held_out_cache());
  }
  write_pairs(output_ / kPairsAfter, *latest_, data_->held_out_cache());
  const Tally& mean = latest_->mean;
  if (progress_.best_step < 0 || mean.loss < progress_.best_loss) {
    progress_.best_step = progress_.step;
    progress_.best_loss = mean.loss;
    progress_.evals_since_best = 0;
  } else {
    ++progress_.evals_since_best;
  }
  warn_of_displacement();
  progress_.last_eval_step = progress_.step;
  const report::EvalRow row{.step = progress_.step,
                            .loss = mean.loss,
                            .accuracy = mean.accuracy,
                            .margin = mean.margin,
                            .chosen_reward = mean.chosen_reward,
                            .rejected_reward = mean.rejected_reward,
                            .chosen_logps = mean.chosen_logps,
                            .rejected_logps = mean.rejected_logps,
                            .comparisons = mean.comparisons,
                            .epoch = static_cast<double>(progress_.step) /
                                     static_cast<double>(sampler_->steps_per_epoch()),
                            .seconds = total_seconds()};
  metrics_->write(row);
  events_->write(row);
  observer_.evaluated(row);
}

// Losses of differences only are content when both log-probs fall, as long as the rejected one
// falls faster; the model then moves away from the answers that people preferred (Razin et al.
// 2024, arXiv:2410.08847).
void Run::warn_of_displacement() {
  constexpr double kNats = 1;
  if (!first_eval_) {  // a resumed run's is in its file
    const report::Metrics metrics = report::read_metrics(output_ / "metrics.jsonl");
    if (!metrics.evals.empty() && metrics.evals.front().step == 0) {
      first_eval_ = metrics.evals.front();
    }
  }
  if (warned_of_displacement_ || !first_eval_ || progress_.step == 0) {
    return;
  }
  const report::EvalRow& start = *first_eval_;
  const Tally& now = latest_->mean;
  if (now.chosen_logps < start.chosen_logps - kNats && now.accuracy > start.accuracy) {
    warned_of_displacement_ = true;
    observer_.warn(
        fmt::format("accuracy rose to {:.3f}, but the log-prob of chosen answers fell from {:.1f} "
                    "to {:.1f}: the "
                    "model learns to avoid both. If its answers get worse: add a term {{kind: nll, "
                    "weight: 0.1}}, "
                    "use kind: dpop, or lower optim.lr",
                    now.accuracy,
                    start.chosen_logps,
                    now.chosen_logps));
  }
}

std::string Run::rows_of(std::span<const int64_t> groups) const {
  std::string rows;
  for (const int64_t group : groups) {
    rows += (rows.empty() ? "" : ", ") + std::string(data_->cache.where(group));
  }
  return rows;
}

double Run::total_seconds() const {
  return seconds_before_ + seconds_since(began_);
}

RunResult train(const RunOptions& run, const std::string& command, RunObserver& observer) {
  check_run(run);
  return Run(run, command, observer).go();
}

}  // namespace attune::train
