// Adapters as PEFT keeps them: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "attune/adapter/lora.h"
#include "attune/adapter/options.h"

namespace attune::adapter {

/// The linear layers of a model with their paths ("model.layers.0.self_attn.q_proj").
using Layers = std::span<const std::pair<std::string, Linear*>>;

/// What adapter_config.json says.
struct PeftConfig {
  int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  bool rslora = false;
  std::vector<std::string> targets = {};
  std::string base_model = {};  ///< Where the base model came from; may be empty.
};

/// Reads `<folder>/adapter_config.json`.
/// @throws Error if it is missing or broken, is no LoRA, or asks for what attune does not compute
/// (DoRA, trained biases, saved modules, ranks by pattern): the key is named.
PeftConfig read_peft_config(const std::filesystem::path& folder);

/// New adapters on the layers whose last path component is one of `options.targets`
/// ("all-linear": on every layer). The same seed gives the same adapters.
/// @throws Error naming a target that no layer has, with the nearest name.
void add_lora(Layers layers, const AdapterOptions& options, uint64_t seed);

/// What to tell a person who uses the adapter with a `model` of another name than it was made for;
/// "" if the names agree (last part, without .gguf, one within the other) or the adapter has none.
/// @throws Error as read_peft_config.
std::string base_warning(const std::filesystem::path& folder, const std::string& model);

/// The adapters of a PEFT folder, trainable, on the layers that it names. Dropout is the file's.
/// @throws Error if the adapter is of another model: a layer that is not there, a shape that does
/// not fit; or if its `target_modules` and its tensors name different layers. No layer is changed
/// then.
void load_peft(Layers layers, const std::filesystem::path& folder);

/// Writes both files into `folder`, which is made if it is not there.
/// @param base_model  Where the base model is, for PEFT's `base_model_name_or_path`.
void save_peft(Layers layers, const std::string& base_model, const std::filesystem::path& folder);

}  // namespace attune::adapter
