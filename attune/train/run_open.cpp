#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/tensor/kernel_memory.h"
#include "attune/tensor/tiles.h"
#include "attune/train/run_loop.h"
#include "attune/train/score.h"

namespace attune::train {

namespace fs = std::filesystem;

Run::Run(const RunOptions& options, std::string command, RunObserver& observer)
    : options_(options),
      command_(std::move(command)),
      observer_(observer),
      output_(options.train.output),
      lock_(output_),
      checkpoints_(output_ / "checkpoints"),
      objective_(options.objective) {
  at::set_num_threads(
      static_cast<int>(options_.train.threads > 0 ? options_.train.threads : machine_.cores));
  options_.adapter = resolved_adapter(options_);
  resume();
}

// Nothing that another program or a person put into the folder may be written over.
void Run::check_ours() const {
  const fs::path settings = output_ / "run.yaml";
  if (fs::exists(settings) && read_file(settings).starts_with(kRunFileHead)) {
    return;
  }
  for (const char* name : {"run.yaml",
                           "metrics.jsonl",
                           "tensorboard",
                           kPairsBefore,
                           kPairsAfter,
                           "checkpoints",
                           "adapter",
                           "model",
                           "report.html"}) {
    check(!fs::exists(output_ / name),
          "train.output: {} has a {} that is not of a run of attune and would be overwritten; "
          "choose another folder",
          output_.string(),
          name);
  }
}

// What an earlier start left: its settings must be these, and its newest whole checkpoint counts.
void Run::resume() {
  check_ours();
  const fs::path settings = output_ / "run.yaml";
  if (fs::exists(settings)) {
    const RunOptions older = read_run(settings);
    const auto changed = resume_difference(older, options_);
    std::vector<std::string> rejected;
    resumed_from_ = checkpoints_.newest(rejected);
    for (const std::string& line : rejected) {
      observer_.warn(
          line + (resumed_from_ ? " (an older checkpoint is used)" : " (there is no older one)"));
    }
    const bool has_result = fs::exists(output_ / "adapter") || fs::exists(output_ / "model");
    if ((resumed_from_ || has_result) && !changed.empty()) {
      std::string list;
      for (const config::Difference& d : changed) {
        list += fmt::format("\n  {}: was {}, now {}", d.key, d.before, d.after);
      }
      throw Error(
          fmt::format("{} holds a run with other settings; going on with these would mix "
                      "two runs:{}\nSet them back, or choose another train.output.",
                      output_.string(),
                      list));
    }
    check(resumed_from_ || !has_result,
          "{} holds a result but no whole checkpoint to go on from; a run from the start would "
          "overwrite it. Choose another train.output",
          output_.string());
  }
  progress_.terms = objective_.initial_state();
  if (resumed_from_) {
    progress_ = read_progress(*resumed_from_);
    seconds_before_ = progress_.seconds;
    ++progress_.starts;
  }
}

// Everything that can be wrong with model, tokenizer and data is found here, before any work.
void Run::open() {
  source_ = model::open_model(options_.model.path);
  source_key_ = source_.fingerprint();
  check(!resumed_from_ || progress_.model_key == source_key_,
        "{}: these are not the weights that the run in {} began with; choose another train.output",
        options_.model.path,
        output_.string());
  if (!options_.adapter.path.empty()) {
    const std::string other = adapter::base_warning(options_.adapter.path, options_.model.path);
    if (!other.empty()) {
      observer_.warn(other);
    }
  }
  tokenizer_ = text::Tokenizer::load(options_.model.path);
  check(tokenizer_->vocab_size() <= source_.shape.vocabulary,
        "{}: the tokenizer has {} tokens, the model only {}",
        options_.model.path,
        tokenizer_->vocab_size(),
        source_.shape.vocabulary);
  data_ = open_data(options_, source_.shape, *tokenizer_, observer_);
  check(!resumed_from_ || progress_.data_key == data_->cache.key(),
        "{}: the training data changed since the run in {} began; choose another train.output",
        options_.data.train[0],
        output_.string());
  progress_.model_key = source_key_;
  progress_.data_key = data_->cache.key();
  progress_.threads = at::get_num_threads();

  sampler_ = make_sampler(options_, *data_);
  if (options_.data.group_robust > 0) {
    group_weights_.emplace(
        options_.data.group_robust, tag_shares(options_, *data_), progress_.tag_weights);
  }
  steps_ = options_.train.epochs * sampler_->steps_per_epoch();
  if (options_.train.max_steps > 0) {
    steps_ = std::min(steps_, options_.train.max_steps);
  }
  eval_every_ =
      options_.train.eval_every > 0 ? options_.train.eval_every : sampler_->steps_per_epoch();
}

void Run::open_policy() {
  if (resumed_from_ && plan_.full) {
    const model::Source newer = model::open_model(*resumed_from_);
    policy_ = make_policy(newer, options_);
  } else if (resumed_from_) {
    RunOptions from_checkpoint = options_;
    from_checkpoint.adapter.path = resumed_from_->string();
    policy_ = make_policy(source_, from_checkpoint);
  } else {
    policy_ = make_policy(source_, options_);
  }
  std::vector<at::Tensor> parameters;
  for (const model::Decoder::Named& named : policy_->trained_parameters()) {
    parameters.push_back(named.tensor);
    parameter_names_.push_back(named.name);
  }
  optimizer_.emplace(parameters, options_.optim);
  if (resumed_from_) {
    restore_optimizer(*resumed_from_, parameter_names_, *optimizer_);
  }
}

// A resumed run keeps the kernel that it began with, or its bits would differ.
void Run::choose_kernel() {
  const int64_t width = source_.shape.width;
  const int64_t inner = source_.shape.feed_forward;
  const tensor::GemmChoice choice =
      tensor::remembered_gemm_kernel(tensor::kernel_memory_file(), 1024, width, inner);
  tensor::Products products = resumed_from_
                                  ? tensor::products_of(progress_.gemm)
                                  : tensor::choose_products(choice, options_.model.precision);
  if (products.narrow != tensor::Narrow::kNone && products.tiles && !tensor::tiles_take_bf16()) {
    observer_.warn(
        fmt::format("the run began with {}, and this machine has no bf16 products; it goes on in "
                    "f32, whose numbers are others",
                    progress_.gemm));
    products.narrow = tensor::Narrow::kNone;
  }
  tensor::use_products(products);
  progress_.gemm = tensor::text_of(products);
  rates_ = rates_of(choice, products);
}

void Run::choose_budget() {
  plan_ = plan_input(options_, source_.shape);
  plan_.products = tensor::products_of(progress_.gemm);
  // A resumed run keeps its budget, or its bits would differ; recomputing changes none.
  std::optional<int64_t> tokens = options_.batch.tokens;
  if (!tokens && resumed_from_) {
    tokens = progress_.batch_tokens;
  }
  const Budget budget = train::choose_budget(source_.shape,
                                             plan_,
                                             tokens,
                                             options_.train.checkpointing,
                                             {.memory_bytes = machine_.memory_bytes,
                                              .free_bytes = machine_.available_bytes,
                                              .largest_group = largest_group(),
                                              .most_tokens = most_tokens()});
  progress_.batch_tokens = budget.tokens;
  plan_.recompute = budget.recompute;
}

int64_t Run::largest_group() const {
  int64_t largest = 0;
  for (const int64_t group : data_->train) {
    largest = std::max(largest, data_->cache.num_tokens(group));
  }
  return largest;
}

// No micro-batch holds more than the data of one step, here by the first one.
int64_t Run::most_tokens() const {
  int64_t step_tokens = 0;
  for (const int64_t group : groups_of(0)) {
    step_tokens += data_->cache.num_tokens(group);
  }
  return std::max(largest_group(), step_tokens * 3 / 2);
}

void Run::announce() {
  plan_.tokens = std::max(largest_group(), std::min(progress_.batch_tokens, most_tokens()));
  plan_.scored = plan_.tokens;
  RunStart start;
  const model::DecoderShape& s = source_.shape;
  start.weights = all_weights(s);
  start.model = fmt::format("{}, {} layers, width {}, {:.1f} M weights, {}",
                            s.architecture,
                            s.layers,
                            s.width,
                            static_cast<double>(start.weights) / 1e6,
                            options_.model.precision);
  for (const at::Tensor& parameter : optimizer_->parameters()) {
    start.trained += parameter.numel();
  }
  start.trained_what = plan_.full ? "every weight"
                                  : fmt::format("LoRA r={} on {}",
                                                options_.adapter.rank,
                                                fmt::join(options_.adapter.targets, ", "));
  start.reference = choose_reference(reference_question(options_)).text();
  start.data = data_->report;
  start.train_comparisons = data_->count_train().comparisons;
  start.train_labels = data_->count_train().labels;
  start.held_out_comparisons = data_->count_held_out().comparisons;
  start.held_out_labels = data_->count_held_out().labels;
  start.steps = steps_;
  start.first_step = progress_.step;
  start.batch_tokens = progress_.batch_tokens;
  start.recompute = plan_.recompute;
  start.planned_bytes = total_bytes(memory_plan(s, plan_));
  start.gemm = progress_.gemm;
  start.rates = rates_;
  start.machine = machine_;
  start.options = differs(options_);
  observer_.started(start);
}

// A log-ratio is a small difference of large sums: people should know what bf16 does to it.
void Run::tell_noise() {
  if (tensor::narrow_products() != tensor::Narrow::kAll) {
    return;
  }
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> groups{data_->train[static_cast<size_t>(sampler_->groups_of(0)[0])]};
  const PreferenceBatch batch = batch_of(data_->cache, groups);
  const at::Tensor narrow_S = score(*policy_, batch, {}).sum_S;
  tensor::set_narrow_products(tensor::Narrow::kBackward);
  const at::Tensor exact_S = score(*policy_, batch, {}).sum_S;
  tensor::set_narrow_products(tensor::Narrow::kAll);
  observer_.warn(fmt::format(
      "model.precision bf16: {:.3f} nats (rms) of noise in the log-probs of {}; auto has none",
      (narrow_S - exact_S).square().mean().sqrt().item<double>(),
      data_->cache.where(groups[0])));
}

}  // namespace attune::train
