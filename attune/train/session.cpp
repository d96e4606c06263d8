#include "attune/train/session.h"

#include <algorithm>
#include <numeric>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/objective/registry.h"

namespace attune::train {
namespace {

// Input and output width of the layer that a path ends with.
std::pair<int64_t, int64_t> widths(const model::DecoderShape& s, const std::string& target) {
  const int64_t query = s.heads * s.head_dim;
  const int64_t key = s.kv_heads * s.head_dim;
  if (target == "q_proj") {
    return {s.width, query};
  }
  if (target == "k_proj" || target == "v_proj") {
    return {s.width, key};
  }
  if (target == "o_proj") {
    return {query, s.width};
  }
  if (target == "down_proj") {
    return {s.feed_forward, s.width};
  }
  return {s.width, s.feed_forward};
}

}  // namespace

std::optional<text::ChatTemplate> chat_template_of(const model::ModelOptions& options,
                                                   const text::Tokenizer& tokenizer) {
  if (options.chat_template != "auto") {
    return text::ChatTemplate::named(options.chat_template, tokenizer);
  }
  if (tokenizer.chat_template().empty()) {
    return std::nullopt;
  }
  return text::ChatTemplate::of(tokenizer);
}

RunData open_data(const RunOptions& run, const text::Tokenizer& tokenizer, Watcher& watcher) {
  const std::optional<text::ChatTemplate> chat = chat_template_of(run.model, tokenizer);
  const text::ChatTemplate* chat_template = chat ? &*chat : nullptr;
  auto [cache, report] =
      data::build_token_cache(run.data, run.data.train, tokenizer, chat_template, watcher);
  RunData data{.cache = cache,
               .report = report,
               .other_held_out = std::nullopt,
               .held_out_report = std::nullopt,
               .train = {},
               .held_out = {}};
  if (run.data.held_out.empty()) {
    data::Split split = data::split_by_prompt(
        cache, run.data.held_out_fraction, static_cast<uint64_t>(run.train.seed));
    data.train = std::move(split.train);
    data.held_out = std::move(split.held_out);
  } else {
    auto [other, other_report] =
        data::build_token_cache(run.data, run.data.held_out, tokenizer, chat_template, watcher);
    data.other_held_out = other;
    data.held_out_report = other_report;
    data.train.resize(static_cast<size_t>(cache.size()));
    std::iota(data.train.begin(), data.train.end(), int64_t{0});
    data.held_out.resize(static_cast<size_t>(other.size()));
    std::iota(data.held_out.begin(), data.held_out.end(), int64_t{0});
  }
  const auto unpaired = [](const data::TokenCache& in, std::vector<int64_t>& groups) {
    std::erase_if(groups, [&](int64_t i) { return in.num_comparisons(i) == 0; });
  };
  unpaired(data.cache, data.train);
  unpaired(data.held_out_cache(), data.held_out);
  check(!data.train.empty(),
        "{}: no comparison to train on: every row is unpaired or held out; give rows with chosen "
        "and rejected, or lower data.held_out_fraction",
        run.data.train.empty() ? run.source : run.data.train[0]);
  return data;
}

std::vector<std::pair<std::string, adapter::Linear*>> linear_layers(model::Decoder& model) {
  std::vector<std::pair<std::string, adapter::Linear*>> layers;
  model.each_linear([&](const std::string& path, adapter::Linear& linear) {
    layers.emplace_back(path, &linear);
  });
  return layers;
}

std::unique_ptr<model::Decoder> make_policy(const model::Source& source, const RunOptions& run) {
  auto policy =
      model::load_model(source, run.model.precision == "bf16" ? at::kBFloat16 : at::kFloat);
  if (run.adapter.kind == "none") {
    policy->each_weight(
        [](const std::string&, at::Tensor& weight) { weight.set_requires_grad(true); });
    return policy;
  }
  const auto layers = linear_layers(*policy);
  if (run.adapter.path.empty()) {
    adapter::add_lora(layers, run.adapter, static_cast<uint64_t>(run.train.seed));
  } else {
    adapter::load_peft(layers, run.adapter.path);
    for (const auto& [path, linear] : layers) {
      if (linear->lora) {
        linear->lora->dropout = run.adapter.dropout;
      }
    }
  }
  return policy;
}

adapter::AdapterOptions resolved_adapter(const RunOptions& run) {
  adapter::AdapterOptions options = run.adapter;
  if (options.kind == "none" || options.path.empty()) {
    return options;
  }
  const adapter::PeftConfig file = adapter::read_peft_config(options.path);
  const adapter::AdapterOptions defaults;
  const auto take = [&](const char* key, auto& option, const auto& otherwise, const auto& theirs) {
    check(option == otherwise || option == theirs,
          "{}: adapter.{} differs from the adapter in {}; leave it out, or start a new adapter "
          "without adapter.path",
          run.source,
          key,
          options.path);
    option = theirs;
  };
  take("rank", options.rank, defaults.rank, file.rank);
  take("alpha", options.alpha, defaults.alpha, file.alpha);
  take("rslora", options.rslora, defaults.rslora, file.rslora);
  take("targets", options.targets, defaults.targets, file.targets);
  return options;
}

PlanInput plan_input(const RunOptions& run, const model::DecoderShape& shape) {
  PlanInput input;
  input.full = run.adapter.kind == "none";
  input.weight_bytes = run.model.precision == "bf16" ? 2 : 4;
  input.recompute = run.train.checkpointing;
  const std::string reference = reference_kind(run);
  input.inline_reference = reference == "base" || reference == "model";
  input.second_model = reference == "model";
  if (input.full) {
    input.trained = all_weights(shape);
    return input;
  }
  static const std::vector<std::string> kAll{
      "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
  const auto& named = run.adapter.targets;
  const bool all = std::find(named.begin(), named.end(), "all-linear") != named.end();
  for (const std::string& target : all ? kAll : named) {
    const auto [in, out] = widths(shape, target);
    input.trained += shape.layers * run.adapter.rank * (in + out);
    input.adapted_width += run.adapter.rank;
  }
  return input;
}

std::string reference_kind(const RunOptions& run) {
  if (!objective::Objective(run.objective).needs_reference()) {
    return "none";
  }
  if (run.reference.kind != "auto") {
    return run.reference.kind;
  }
  return run.adapter.kind == "none" ? "cached" : "base";
}

}  // namespace attune::train
