#include "attune/config/foreign_names.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "attune/core/hint.h"

namespace attune::config {
namespace {

// What they are called there, and where it is here.
constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
    {"learning_rate", "optim.lr"},
    {"lr_scheduler_type", "optim.schedule"},
    {"warmup_steps", "optim.warmup_ratio"},
    {"r", "adapter.rank"},
    {"lora_r", "adapter.rank"},
    {"lora_alpha", "adapter.alpha"},
    {"lora_dropout", "adapter.dropout"},
    {"target_modules", "adapter.targets"},
    {"lora_target_modules", "adapter.targets"},
    {"per_device_train_batch_size", "batch.comparisons"},
    {"gradient_accumulation_steps", "batch.comparisons"},
    {"num_train_epochs", "train.epochs"},
    {"output_dir", "train.output"},
    {"save_steps", "train.save_every"},
    {"eval_steps", "train.eval_every"},
    {"logging_steps", "train.log_every"},
    {"gradient_checkpointing", "train.checkpointing"},
    {"max_length", "data.max_tokens"},
    {"dataset_name", "data.train"},
    {"model_name_or_path", "model.path"},
    {"loss_type", "objective"},
    {"base_model", "model.path"}};

using Name = std::pair<std::string_view, std::string_view>;

}  // namespace

std::string here_it_is(std::string_view name) {
  const auto* const known = std::ranges::find(kElsewhere, name, &Name::first);
  return known == std::end(kElsewhere)
             ? ""
             : fmt::format(" Here it is {}; a whole file of TRL's: attune config import-trl",
                           known->second);
}

std::string option_hint(std::string_view name,
                        std::string_view path,
                        std::span<const std::string_view> names) {
  std::string ours = did_you_mean(name, names);
  if (!ours.empty()) {
    return ours;
  }
  const std::string section = std::string(path) + ".";
  std::vector<std::string_view> theirs;
  for (const Name& known : kElsewhere) {
    if (known.second.starts_with(section)) {
      theirs.push_back(known.first);
    }
  }
  const std::string near = nearest_name(name, theirs);
  const auto* const known = std::ranges::find(kElsewhere, near, &Name::first);
  return known == std::end(kElsewhere)
             ? ""
             : fmt::format(" Did you mean \"{}\"?", known->second.substr(section.size()));
}

}  // namespace attune::config
