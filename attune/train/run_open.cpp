#include <algorithm>

#include <ATen/Parallel.h>

#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/tensor/kernel_memory.h"
#include "attune/train/run_loop.h"

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

// What an earlier start left: its settings must be these, and its newest whole checkpoint counts.
void Run::resume() {
  const fs::path settings = output_ / "run.yaml";
  if (fs::exists(settings)) {
    const RunOptions older = read_run(settings);
    const auto changed = resume_difference(older, options_);
    std::vector<std::string> rejected;
    resumed_from_ = checkpoints_.newest(rejected);
    for (const std::string& line : rejected) {
      observer_.warn(line + " (an older checkpoint is used)");
    }
    if (resumed_from_ && !changed.empty()) {
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
  }
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
  tokenizer_ = text::Tokenizer::load(options_.model.path);
  check(tokenizer_->vocab_size() <= source_.shape.vocabulary,
        "{}: the tokenizer has {} tokens, the model only {}",
        options_.model.path,
        tokenizer_->vocab_size(),
        source_.shape.vocabulary);
  check(options_.data.max_tokens <= source_.shape.max_positions,
        "data.max_tokens is {}, but {} was made for at most {} tokens. Set data.max_tokens to {}",
        options_.data.max_tokens,
        options_.model.path,
        source_.shape.max_positions,
        source_.shape.max_positions);
  data_ = open_data(options_, *tokenizer_, observer_);
  check(!resumed_from_ || progress_.data_key == data_->cache.key(),
        "{}: the training data changed since the run in {} began; choose another train.output",
        options_.data.train[0],
        output_.string());
  progress_.model_key = source_key_;
  progress_.data_key = data_->cache.key();
  progress_.threads = at::get_num_threads();

  std::vector<int32_t> comparisons;
  for (const int64_t group : data_->train) {
    comparisons.push_back(data_->cache.num_comparisons(group));
  }
  sampler_.emplace(comparisons,
                   options_.batch.comparisons,
                   options_.data.shuffle,
                   static_cast<uint64_t>(options_.train.seed),
                   /*drop_last=*/false);
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
  tensor::GemmChoice choice =
      tensor::remembered_gemm_kernel(tensor::kernel_memory_file(), 1024, width, inner);
  if (resumed_from_) {
    choice.kernel = tensor::gemm_kernel_named(progress_.gemm);
  }
  tensor::set_gemm_kernel(choice.kernel);
  progress_.gemm = tensor::name(choice.kernel);
  gemm_gflops_ = choice.gflops;
}

void Run::choose_budget() {
  plan_ = plan_input(options_, source_.shape);
  if (options_.batch.tokens) {
    progress_.batch_tokens = *options_.batch.tokens;
  } else if (!resumed_from_) {
    progress_.batch_tokens = auto_tokens(source_.shape, plan_, machine_.memory_bytes);
  }
}

void Run::make_reference() {
  reference_kind_ = reference_kind(options_);
  if (reference_kind_ == "base") {
    reference_ = base_reference(*policy_);
  } else if (reference_kind_ == "model") {
    const model::Source other = model::open_model(options_.reference.path);
    check(other.shape.vocabulary == source_.shape.vocabulary,
          "reference.path: {} has {} tokens and model.path {}; both must share one vocabulary",
          options_.reference.path,
          other.shape.vocabulary,
          source_.shape.vocabulary);
    reference_ = model_reference(
        model::load_model(other, options_.model.precision == "bf16" ? at::kBFloat16 : at::kFloat));
  } else if (reference_kind_ == "cached") {
    const fs::path folder = options_.reference.cache_dir.empty()
                                ? output_ / "cache"
                                : fs::path(options_.reference.cache_dir);
    // A resumed full fine-tune no longer holds the starting weights; the table then is complete, or
    // is completed by the starting model.
    std::unique_ptr<model::Decoder> start;
    const model::Decoder* model = policy_.get();
    if (plan_.full && progress_.step > 0) {
      start = model::load_model(source_, at::kFloat);
      model = start.get();
    }
    const auto table_of = [&](const data::TokenCache& cache) {
      const std::string key =
          Hasher().add(source_key_).add(cache.key()).add(options_.model.precision).hex();
      const ReferenceTable table{folder / ("reference-" + key.substr(0, 16) + ".safetensors"), key};
      return reference_table(table, *model, cache, progress_.batch_tokens, observer_);
    };
    reference_ = cached_reference(table_of(data_->cache));
    if (data_->other_held_out) {
      held_out_reference_ = cached_reference(table_of(*data_->other_held_out));
    }
  } else {
    reference_ = no_reference();
  }
  if (!held_out_reference_) {
    held_out_reference_ = remembering_reference(*reference_);
  }
}

void Run::announce() {
  int64_t largest = 0;
  for (const int64_t group : data_->train) {
    largest = std::max(largest, data_->cache.num_tokens(group));
  }
  // No micro-batch holds more than the data of one step.
  int64_t step_tokens = 0;
  for (const int64_t i : sampler_->groups_of(0)) {
    step_tokens += data_->cache.num_tokens(data_->train[static_cast<size_t>(i)]);
  }
  plan_.tokens = std::max(largest, std::min(progress_.batch_tokens, step_tokens * 3 / 2));
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
  start.reference = reference_kind(options_);
  start.data = data_->report;
  for (const int64_t group : data_->train) {
    start.train_comparisons += data_->cache.num_comparisons(group);
  }
  for (const int64_t group : data_->held_out) {
    start.held_out_comparisons += data_->held_out_cache().num_comparisons(group);
  }
  start.steps = steps_;
  start.first_step = progress_.step;
  start.batch_tokens = progress_.batch_tokens;
  start.planned_bytes = total_bytes(memory_plan(s, plan_));
  start.gemm = progress_.gemm;
  start.gemm_gflops = gemm_gflops_;
  start.machine = machine_;
  start.options = differs(options_);
  observer_.started(start);
}

}  // namespace attune::train
