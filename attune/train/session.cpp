#include "attune/train/session.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/objective/registry.h"
#include "attune/train/usable.h"

namespace attune::train {
namespace {

// Of a weight that a moving reference has changed.
constexpr int64_t kMovedBytes = 4;

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

// The data's options with a window that the model has.
data::DataOptions fit_to(const RunOptions& run, const model::DecoderShape& shape) {
  data::DataOptions options = run.data;
  if (!options.max_tokens) {
    options.max_tokens = std::min(options.window(), shape.max_positions);
  }
  check(options.window() <= shape.max_positions,
        "data.max_tokens is {}, but {} was made for at most {} tokens. Set data.max_tokens to {}",
        options.window(),
        run.model.path,
        shape.max_positions,
        shape.max_positions);
  return options;
}

data::TagMix tag_mix(const RunOptions& run, const RunData& data) {
  std::vector<int32_t> tags;
  for (const int64_t group : data.train) {
    tags.push_back(data.cache.tag(group));
  }
  return {tags, run.data.tag_temperature, run.data.shuffle, static_cast<uint64_t>(run.train.seed)};
}

RunData::Count count(const data::TokenCache& cache, const std::vector<int64_t>& groups) {
  RunData::Count count;
  for (const int64_t group : groups) {
    const int32_t comparisons = cache.num_comparisons(group);
    count.comparisons += comparisons;
    count.labels += comparisons == 0 ? cache.num_completions(group) : 0;
  }
  return count;
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

RunData open_data(const RunOptions& run,
                  const model::DecoderShape& shape,
                  const text::Tokenizer& tokenizer,
                  Watcher& watcher) {
  const data::DataOptions options = fit_to(run, shape);
  const std::optional<text::ChatTemplate> chat = chat_template_of(run.model, tokenizer);
  const text::ChatTemplate* chat_template = chat ? &*chat : nullptr;
  auto [cache, report] =
      data::build_token_cache(options, options.train, tokenizer, chat_template, watcher);
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
        data::build_token_cache(options, options.held_out, tokenizer, chat_template, watcher);
    data.other_held_out = other;
    data.held_out_report = other_report;
    data.train.resize(static_cast<size_t>(cache.size()));
    std::iota(data.train.begin(), data.train.end(), int64_t{0});
    data.held_out.resize(static_cast<size_t>(other.size()));
    std::iota(data.held_out.begin(), data.held_out.end(), int64_t{0});
  }
  check(!data.train.empty(),
        "{}: nothing is left to train on: every row is held out. Lower data.held_out_fraction",
        run.data.train.empty() ? run.source : run.data.train[0]);
  keep_usable(run.objective, data.cache, data.train, /*all=*/true, watcher);
  keep_usable(run.objective, data.held_out_cache(), data.held_out, /*all=*/false, watcher);
  return data;
}

TagShares tag_shares(const RunOptions& run, const RunData& data) {
  const std::vector<int64_t> draws = tag_mix(run, data).draws();
  std::vector<objective::UnitWeights> weights(draws.size());
  std::vector<double> groups(draws.size(), 0);
  for (const int64_t group : data.train) {
    const auto tag = static_cast<size_t>(data.cache.tag(group));
    const std::vector<data::EncodedGroup> one{data.cache.group(group)};
    weights[tag] += lift(data::pack(one)).weights;
    ++groups[tag];
  }
  // What an epoch draws of the tag: its groups, of their mean weight.
  objective::UnitWeights all;
  for (size_t tag = 0; tag < draws.size(); ++tag) {
    const double times = groups[tag] > 0 ? static_cast<double>(draws[tag]) / groups[tag] : 0;
    weights[tag] = {.pair = times * weights[tag].pair,
                    .label = times * weights[tag].label,
                    .group = times * weights[tag].group};
    all += weights[tag];
  }
  const auto part = [](double of, double sum) { return sum > 0 ? of / sum : 0; };
  TagShares shares;
  for (size_t tag = 0; tag < draws.size(); ++tag) {
    if (groups[tag] > 0) {
      shares[data.cache.tags()[tag]] = {.pair = part(weights[tag].pair, all.pair),
                                        .label = part(weights[tag].label, all.label),
                                        .group = part(weights[tag].group, all.group)};
    }
  }
  return shares;
}

RunData::Count RunData::count_train() const {
  return count(cache, train);
}

RunData::Count RunData::count_held_out() const {
  return count(held_out_cache(), held_out);
}

data::StepSampler make_sampler(const RunOptions& run, const RunData& data) {
  const auto seed = static_cast<uint64_t>(run.train.seed);
  std::vector<int32_t> comparisons;
  comparisons.reserve(data.train.size());
  for (const int64_t group : data.train) {
    comparisons.push_back(data.cache.num_comparisons(group));
  }
  std::optional<data::TagMix> mix;
  if (run.data.tag_temperature > 1) {
    mix = tag_mix(run, data);
  }
  return {std::move(comparisons),
          run.batch.comparisons,
          run.data.shuffle,
          seed,
          /*drop_last=*/false,
          std::move(mix)};
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
  input.recompute = run.train.checkpointing.value_or(false);
  const ReferenceOptions reference = choose_reference(reference_question(run)).options;
  const auto others = reference.kind == "model" ? 1 : static_cast<int64_t>(reference.paths.size());
  const bool moves = reference.sync_every > 0;
  input.references = reference.kind == "base" ? 1 : others;
  input.reference_bytes = others * all_weights(shape) * (moves ? kMovedBytes : input.weight_bytes);
  const objective::Needs needs = objective::Objective(run.objective).needs();
  input.head_tiles = needs.divergence ? 3 : 0;
  const auto& named = run.adapter.targets;
  const bool all = input.full || std::ranges::find(named, adapter::kAllLinear) != named.end();
  std::set<char> inputs;  // q, k and v read one row; gate and up read one
  input.dropout = !input.full && run.adapter.dropout > 0;
  const std::vector<std::string> every(adapter::kLayers.begin(), adapter::kLayers.end());
  for (const std::string& target : all ? every : named) {
    const auto [in, out] = widths(shape, target);
    const auto place = std::ranges::find(adapter::kLayers, target) - adapter::kLayers.begin();
    if (!input.full && place < model::kProjections) {
      input.ranks[static_cast<size_t>(place)] = run.adapter.rank;
    }
    input.trained += shape.layers * run.adapter.rank * (in + out);
    input.adapted_width += run.adapter.rank;
    if (moves && reference.kind == "base") {
      input.reference_bytes += shape.layers * in * out * kMovedBytes;  // it shares the others
    }
    const char row = target[0] == 'k' || target[0] == 'v' ? 'q'
                     : target[0] == 'u'                   ? 'g'
                                                          : target[0];
    if (inputs.insert(row).second) {
      input.trained_inputs += in;
    }
  }
  if (input.full) {
    input.trained = all_weights(shape);
    input.adapted_width = 0;
  }
  return input;
}

}  // namespace attune::train
