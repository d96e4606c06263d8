#include "attune/train/run_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>

#include "attune/core/error.h"
#include "attune/data/packed_batch.h"
#include "attune/data/sampler.h"
#include "attune/model/checkpoint.h"
#include "attune/tensor/kernel_memory.h"
#include "attune/train/plan.h"
#include "attune/train/session.h"

namespace attune::train {
namespace {

// So many steps are looked at; the others are like them.
constexpr int64_t kSteps = 4096;

// What goes through the model in a number of micro-batches.
struct Load {
  int64_t tokens = 0;
  int64_t scored = 0;
  int64_t steps = 0;           // they are of so many steps
  int64_t largest_tokens = 0;  // of the micro-batch with the most tokens
  int64_t largest_scored = 0;
};

int64_t scored_rows(const data::TokenCache& cache, int64_t group) {
  return cache.num_tokens(group) - static_cast<int64_t>(cache.group(group).prompt.size());
}

void add(Load& load,
         const data::TokenCache& cache,
         const std::vector<int64_t>& groups,
         int64_t budget) {
  std::vector<int64_t> tokens;
  for (const int64_t group : groups) {
    tokens.push_back(cache.num_tokens(group));
  }
  for (const std::vector<size_t>& batch : data::split_by_tokens(tokens, budget)) {
    int64_t batch_tokens = 0;
    int64_t batch_scored = 0;
    for (const size_t i : batch) {
      batch_tokens += tokens[i];
      batch_scored += scored_rows(cache, groups[i]);
    }
    load.tokens += batch_tokens;
    load.scored += batch_scored;
    if (batch_tokens > load.largest_tokens) {
      load.largest_tokens = batch_tokens;
      load.largest_scored = batch_scored;
    }
  }
  ++load.steps;
}

Load training_load(const RunData& data,
                   const data::StepSampler& sampler,
                   int64_t steps,
                   int64_t budget) {
  Load load;
  for (int64_t step = 0; step < std::min(steps, kSteps); ++step) {
    std::vector<int64_t> groups;
    for (const int64_t i : sampler.groups_of(step)) {
      groups.push_back(data.train[static_cast<size_t>(i)]);
    }
    add(load, data.cache, groups, budget);
  }
  return load;
}

int64_t mapped_bytes(const model::Source& source) {
  int64_t bytes = 0;
  for (const io::TensorView& view : source.tensors->tensors()) {
    bytes += static_cast<int64_t>(view.bytes.size());
  }
  return bytes;
}

}  // namespace

RunPlan plan_run(const RunOptions& options, Watcher& watcher) {
  RunOptions run = options;
  run.adapter = resolved_adapter(run);
  RunPlan plan;
  plan.machine = this_machine();
  at::set_num_threads(
      static_cast<int>(run.train.threads > 0 ? run.train.threads : plan.machine.cores));
  const model::Source source = model::open_model(run.model.path);
  const model::DecoderShape& s = source.shape;
  const std::shared_ptr<const text::Tokenizer> tokenizer = text::Tokenizer::load(run.model.path);
  const RunData data = open_data(run, s, *tokenizer, watcher);
  plan.data = data.report;
  plan.comparisons = data.count_train().comparisons;
  plan.labels = data.count_train().labels;
  plan.held_out = data.count_held_out().comparisons;
  plan.held_out_labels = data.count_held_out().labels;

  PlanInput input = plan_input(run, s);
  input.file_bytes = mapped_bytes(source);
  const ReferenceChoice reference = choose_reference(reference_question(run));
  plan.reference = reference.text();
  plan.model = fmt::format("{}, {} layers, width {}, {:.1f} M weights, {}",
                           s.architecture,
                           s.layers,
                           s.width,
                           static_cast<double>(all_weights(s)) / 1e6,
                           run.model.precision);
  plan.trained = input.full ? "every weight"
                            : fmt::format("LoRA r={} on {}: {} numbers",
                                          run.adapter.rank,
                                          fmt::join(run.adapter.targets, ", "),
                                          input.trained);

  const data::StepSampler sampler = make_sampler(run, data);
  plan.steps = run.train.epochs * sampler.steps_per_epoch();
  if (run.train.max_steps > 0) {
    plan.steps = std::min(plan.steps, run.train.max_steps);
  }
  const tensor::GemmChoice gemm =
      tensor::remembered_gemm_kernel(tensor::kernel_memory_file(), 1024, s.width, s.feed_forward);
  const tensor::Products products = tensor::choose_products(gemm, run.model.precision);
  input.products = products;
  const int64_t whole = std::numeric_limits<int64_t>::max();
  Limits limits{.memory_bytes = plan.machine.memory_bytes,
                .free_bytes = plan.machine.available_bytes,
                .most_tokens = training_load(data, sampler, plan.steps, whole).largest_tokens};
  for (const int64_t group : data.train) {
    limits.largest_group = std::max(limits.largest_group, data.cache.num_tokens(group));
  }
  const Budget budget = choose_budget(s, input, run.batch.tokens, run.train.checkpointing, limits);
  plan.batch_tokens = budget.tokens;
  plan.recompute = input.recompute = budget.recompute;
  const Load load = training_load(data, sampler, plan.steps, plan.batch_tokens);
  plan.step_tokens = static_cast<double>(load.tokens) / static_cast<double>(load.steps);
  plan.step_scored = static_cast<double>(load.scored) / static_cast<double>(load.steps);
  plan.largest_tokens = input.tokens = load.largest_tokens;
  input.scored = load.largest_scored;
  plan.memory = memory_plan(s, input);
  plan.memory_bytes = total_bytes(plan.memory);

  plan.gemm = tensor::text_of(products);
  plan.rates = rates_of(gemm, products);
  plan.efficiency = kEfficiency;
  const double rate = plan.rates.forward * 1e9 * kEfficiency;
  plan.step_s =
      step_seconds(s, input, plan.step_tokens, plan.step_scored, plan.rates) / kEfficiency;
  plan.training_s = plan.step_s * static_cast<double>(plan.steps);

  const double passes = 1.0 + static_cast<double>(input.references);
  if (!data.held_out.empty()) {
    const int64_t every =
        run.train.eval_every > 0 ? run.train.eval_every : sampler.steps_per_epoch();
    plan.evaluations = 1 + (plan.steps + every - 1) / every;
    Load held_out;
    add(held_out, data.held_out_cache(), data.held_out, plan.batch_tokens);
    plan.evaluation_s =
        static_cast<double>(plan.evaluations) * passes *
        forward_flops(
            s, static_cast<double>(held_out.tokens), static_cast<double>(held_out.scored)) /
        rate;
  }
  if (reference.options.kind == "cached") {
    const double share = plan.step_scored / plan.step_tokens;
    double tokens =
        plan.step_tokens * static_cast<double>(std::min(plan.steps, sampler.steps_per_epoch()));
    for (const int64_t group : data.held_out) {
      tokens += static_cast<double>(data.held_out_cache().num_tokens(group));
    }
    plan.reference_s = forward_flops(s, tokens, share * tokens) / rate;
  }
  return plan;
}

}  // namespace attune::train
