#include "attune/adapter/peft.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hint.h"
#include "attune/core/random.h"
#include "attune/io/json.h"
#include "attune/io/safetensors_writer.h"
#include "attune/io/tensor_file.h"
#include "attune/tensor/convert.h"

namespace attune::adapter {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";

std::string last_component(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

template <class T>
T get(const json& config, const char* key, const T& fallback, const std::string& where) {
  if (!config.contains(key) || config.at(key).is_null()) {
    return fallback;
  }
  try {
    return config.at(key).get<T>();
  } catch (const json::exception&) {
    throw Error(fmt::format("{}: \"{}\" has a wrong type: {}", where, key, config.at(key).dump()));
  }
}

// What attune does not compute must be off: absent, null, false, empty or "none".
void refuse_unsupported(const json& config, const std::string& where) {
  static constexpr std::array kOff{"use_dora",
                                   "use_qalora",
                                   "modules_to_save",
                                   "rank_pattern",
                                   "alpha_pattern",
                                   "layers_to_transform",
                                   "layers_pattern",
                                   "exclude_modules",
                                   "target_parameters",
                                   "fan_in_fan_out",
                                   "lora_bias",
                                   "layer_replication",
                                   "trainable_token_indices",
                                   "alora_invocation_tokens",
                                   "arrow_config",
                                   "corda_config",
                                   "kasa_config",
                                   "lora_ga_config",
                                   "monteclora_config",
                                   "use_bdlora",
                                   "velora_config"};
  for (const char* key : kOff) {
    if (!config.contains(key)) {
      continue;
    }
    const json& value = config.at(key);
    const bool off = value.is_null() || value == json(false) || value.empty();
    check(off, "{}: \"{}\": {} is not supported", where, key, value.dump());
  }
  const auto bias = get<std::string>(config, "bias", "none", where);
  check(bias == "none", "{}: \"bias\": \"{}\" is not supported, only none", where, bias);
  // These also change the base weights when the adapter is made.
  static constexpr std::array kChangesBase{"pissa", "olora", "corda", "loftq", "lora_ga"};
  const bool named =
      config.contains("init_lora_weights") && config.at("init_lora_weights").is_string();
  const auto start = named ? config.at("init_lora_weights").get<std::string>() : std::string();
  for (const char* kind : kChangesBase) {
    check(!start.starts_with(kind),
          "{}: \"init_lora_weights\": \"{}\" changes the base model too, which is not supported; "
          "convert the adapter to plain LoRA with PEFT first",
          where,
          start);
  }
}

at::Tensor trained(const io::TensorView& view,
                   int64_t rows,
                   int64_t columns,
                   const fs::path& file) {
  check(view.shape == std::vector<int64_t>({rows, columns}),
        "{}: {} must be [{}, {}] for this model, got {}; is it an adapter of another model?",
        file.string(),
        view.name,
        rows,
        columns,
        io::shape_text(view.shape));
  return tensor::from_view(view, at::kFloat).set_requires_grad(true);
}

}  // namespace

PeftConfig read_peft_config(const fs::path& folder) {
  const fs::path file = folder / kConfigFile;
  check(fs::exists(file),
        "{}: no {} in this folder; a PEFT adapter has {} and {}",
        folder.string(),
        kConfigFile,
        kConfigFile,
        kWeightsFile);
  const std::string where = file.string();
  const json config = io::read_json(file);
  check(config.is_object(), "{}: expected one JSON object", where);
  const auto type = get<std::string>(config, "peft_type", "", where);
  check(type == "LORA", "{}: \"peft_type\" must be LORA, got \"{}\"", where, type);
  refuse_unsupported(config, where);
  PeftConfig peft;
  peft.rank = get<int64_t>(config, "r", 8, where);
  peft.alpha = get<double>(config, "lora_alpha", 8, where);
  peft.dropout = get<double>(config, "lora_dropout", 0, where);
  peft.rslora = get<bool>(config, "use_rslora", false, where);
  peft.base_model = get<std::string>(config, "base_model_name_or_path", "", where);
  if (config.contains("target_modules") && config.at("target_modules").is_string()) {
    peft.targets = {config.at("target_modules").get<std::string>()};
  } else {
    peft.targets = get<std::vector<std::string>>(config, "target_modules", {}, where);
  }
  check(peft.rank > 0, "{}: \"r\" must be 1 or more, got {}", where, peft.rank);
  check(peft.alpha > 0, "{}: \"lora_alpha\" must be > 0, got {}", where, peft.alpha);
  check(peft.dropout >= 0 && peft.dropout < 1,
        "{}: \"lora_dropout\" must be in [0, 1), got {}",
        where,
        peft.dropout);
  return peft;
}

void add_lora(Layers layers, const AdapterOptions& options, uint64_t seed) {
  std::set<std::string> known;
  for (const auto& [path, linear] : layers) {
    known.insert(last_component(path));
  }
  check(!options.targets.empty(), "adapter.targets is empty; name layers, or all-linear");
  std::vector<std::string_view> names(known.begin(), known.end());
  names.push_back(kAllLinear);
  bool all = false;
  for (const std::string& target : options.targets) {
    check(target == kAllLinear || known.contains(target),
          "adapter.targets: no layer is called \"{}\".{} Layers: {}",
          target,
          did_you_mean(target, names),
          fmt::join(names, ", "));
    all = all || target == kAllLinear;
  }
  uint64_t ordinal = 0;
  for (const auto& [path, linear] : layers) {
    const auto& targets = options.targets;
    if (all || std::find(targets.begin(), targets.end(), last_component(path)) != targets.end()) {
      linear->lora = new_lora(linear->weight_OI, options, stream_key(seed, "lora " + path));
      linear->lora->ordinal = ordinal;
    }
    ++ordinal;
  }
}

std::string base_warning(const fs::path& folder, const std::string& model) {
  const auto leaf = [](const std::string& path) {
    fs::path name = path;
    if (!name.has_filename()) {  // written with a slash at its end
      name = name.parent_path();
    }
    std::string text =
        name.extension() == ".gguf" ? name.stem().string() : name.filename().string();
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
  };
  const std::string made_for = read_peft_config(folder).base_model;
  const std::string a = leaf(made_for);
  const std::string b = leaf(model);
  if (a.empty() || a.find(b) != a.npos || b.find(a) != b.npos) {
    return "";
  }
  return fmt::format(
      "{} was made for {}; with {} it means something only if that is the same model",
      folder.string(),
      made_for,
      model);
}

void load_peft(Layers layers, const fs::path& folder) {
  const PeftConfig config = read_peft_config(folder);
  // PEFT also takes paths, patterns and "all-linear", which name more than one last component.
  const bool by_name = std::all_of(config.targets.begin(), config.targets.end(), [](const auto& t) {
    return t != kAllLinear && t.find_first_of(".*|()[]\\^$+?") == t.npos;
  });
  const fs::path file = folder / kWeightsFile;
  const io::TensorFile tensors = io::open_safetensors(file);
  std::set<std::string> used;
  std::vector<std::pair<Linear*, Lora>> found;
  uint64_t ordinal = 0;
  for (const auto& [path, linear] : layers) {
    const std::string name = std::string(kPrefix) + path;
    const bool wanted =
        std::find(config.targets.begin(), config.targets.end(), last_component(path)) !=
        config.targets.end();
    if (wanted || tensors.find(name + ".lora_A.weight") != nullptr ||
        tensors.find(name + ".lora_B.weight") != nullptr) {
      check(wanted || !by_name,
            "{}: it has tensors of {}, which \"target_modules\" in {} leaves out",
            file.string(),
            path,
            kConfigFile);
      const io::TensorView& a = tensors.at(name + ".lora_A.weight");
      const io::TensorView& b = tensors.at(name + ".lora_B.weight");
      found.emplace_back(linear,
                         Lora{.a_RI = trained(a, config.rank, linear->weight_OI.size(1), file),
                              .b_OR = trained(b, linear->weight_OI.size(0), config.rank, file),
                              .alpha = config.alpha,
                              .rslora = config.rslora,
                              .dropout = config.dropout,
                              .ordinal = ordinal});
      used.insert(a.name);
      used.insert(b.name);
    }
    ++ordinal;
  }
  for (const io::TensorView& view : tensors.tensors()) {
    check(used.contains(view.name),
          "{}: the model has no layer for {}; is it an adapter of another model?",
          file.string(),
          view.name);
  }
  check(!used.empty(), "{}: no LoRA tensor in it", file.string());
  for (auto& [linear, lora] : found) {
    linear->lora = std::move(lora);
  }
}

void save_peft(Layers layers, const std::string& base_model, const fs::path& folder) {
  std::vector<io::TensorView> views;
  std::vector<at::Tensor> kept;  // the views look into these
  std::set<std::string> targets;
  const Lora* first = nullptr;
  for (const auto& [path, linear] : layers) {
    if (linear->lora) {
      const std::string name = std::string(kPrefix) + path;
      for (const auto& [suffix, tensor] : {std::pair{".lora_A.weight", linear->lora->a_RI},
                                           std::pair{".lora_B.weight", linear->lora->b_OR}}) {
        kept.push_back(tensor.detach().contiguous());
        views.push_back(tensor::to_view(name + suffix, kept.back()));
      }
      targets.insert(last_component(path));
      first = first == nullptr ? &*linear->lora : first;
    }
  }
  ensure(first != nullptr, "save_peft: no layer has an adapter");
  nlohmann::ordered_json config{{"auto_mapping", nullptr},
                                {"base_model_name_or_path", base_model},
                                {"bias", "none"},
                                {"fan_in_fan_out", false},
                                {"inference_mode", true},
                                {"init_lora_weights", true},
                                {"layers_pattern", nullptr},
                                {"layers_to_transform", nullptr},
                                {"lora_alpha", first->alpha},
                                {"lora_dropout", first->dropout},
                                {"modules_to_save", nullptr},
                                {"peft_type", "LORA"},
                                {"r", first->a_RI.size(0)},
                                {"revision", nullptr},
                                {"target_modules", targets},
                                {"task_type", "CAUSAL_LM"},
                                {"use_dora", false},
                                {"use_rslora", first->rslora}};
  if (first->alpha == std::floor(first->alpha)) {
    config["lora_alpha"] = static_cast<int64_t>(first->alpha);
  }
  fs::create_directories(folder);
  io::write_safetensors(folder / kWeightsFile, views, {{"format", "pt"}});
  write_file(folder / kConfigFile, config.dump(2) + "\n");
}

}  // namespace attune::adapter
