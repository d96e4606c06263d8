#include "attune/train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hash.h"
#include "attune/io/safetensors_writer.h"
#include "attune/tensor/convert.h"

namespace attune::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr const char* kState = "state.json";
constexpr const char* kOptimizer = "optimizer.safetensors";

// The one list of Progress's fields, for writing and for reading.
template <class P, class Visitor>
void each(P& p, Visitor&& visit) {
  visit("step", p.step);
  visit("tokens", p.tokens);
  visit("comparisons", p.comparisons);
  visit("seconds", p.seconds);
  visit("starts", p.starts);
  visit("best_step", p.best_step);
  visit("best_loss", p.best_loss);
  visit("evals_since_best", p.evals_since_best);
  visit("last_eval_step", p.last_eval_step);
  visit("finished", p.finished);
  visit("gemm", p.gemm);
  visit("batch_tokens", p.batch_tokens);
  visit("threads", p.threads);
  visit("terms", p.terms);
  visit("tag_weights", p.tag_weights);
  visit("model_key", p.model_key);
  visit("data_key", p.data_key);
}

void write_state(const fs::path& folder, const Progress& progress) {
  json state{{"format", kFormat}};
  each(progress, [&](const char* key, const auto& value) { state[key] = value; });
  json files = json::object();
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = hash_file(entry.path());
  }
  state["files"] = files;
  write_file(folder / kState, state.dump(2) + "\n");
}

json read_state(const fs::path& folder) {
  const fs::path file = folder / kState;
  const json state = json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  check(state.is_object() && state.value("format", 0) == kFormat && state.contains("files") &&
            state.at("files").is_object(),
        "{}: not the state of a checkpoint of this version",
        file.string());
  for (const auto& [name, hash] : state.at("files").items()) {
    check(hash.is_string() && hash.get<std::string>() == hash_file(folder / name),
          "{}: damaged: its checksum differs from the one in {}",
          (folder / name).string(),
          kState);
  }
  return state;
}

// Of what PEFT or transformers reads, not of the run.
bool is_of_model(const std::string& file) {
  return file != kState && file != kOptimizer && file != kReferenceFile;
}

void write_optimizer(const fs::path& folder,
                     const optim::AdamW& optimizer,
                     const std::vector<std::string>& names) {
  std::vector<io::TensorView> views;
  for (size_t i = 0; i < names.size(); ++i) {
    views.push_back(tensor::to_view(names[i] + ".exp_avg", optimizer.means()[i]));
    views.push_back(tensor::to_view(names[i] + ".exp_avg_sq", optimizer.squares()[i]));
  }
  io::write_safetensors(
      folder / kOptimizer, views, {{"updates", std::to_string(optimizer.updates())}});
}

}  // namespace

Checkpoints::Checkpoints(fs::path folder) : folder_(std::move(folder)) {}

fs::path Checkpoints::at(int64_t step) const {
  return folder_ / fmt::format("step-{:08}", step);
}

std::vector<int64_t> Checkpoints::steps() const {
  static constexpr std::string_view kPrefix = "step-";
  std::vector<int64_t> found;
  if (!fs::is_directory(folder_)) {
    return found;
  }
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    int64_t step = 0;
    const char* end = name.data() + name.size();
    if (name.starts_with(kPrefix) && entry.is_directory() &&
        std::from_chars(name.data() + kPrefix.size(), end, step).ptr == end) {
      found.push_back(step);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void Checkpoints::save(const Progress& progress,
                       const optim::AdamW& optimizer,
                       const std::vector<std::string>& parameter_names,
                       const std::function<void(const fs::path&)>& weights,
                       int64_t keep) {
  fs::create_directories(folder_);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    // What a killed run left half written.
    const std::string name = entry.path().filename().string();
    if (name.find(".tmp") != std::string::npos || name.ends_with(".old")) {
      fs::remove_all(entry.path());
    }
  }
  write_folder(at(progress.step), [&](const fs::path& folder) {
    weights(folder);
    write_optimizer(folder, optimizer, parameter_names);
    write_state(folder, progress);
  });
  std::vector<int64_t> all = steps();
  all.resize(static_cast<size_t>(std::max<int64_t>(0, static_cast<int64_t>(all.size()) - keep)));
  for (const int64_t old : all) {
    if (old != progress.best_step && old != progress.step) {
      fs::remove_all(at(old));
    }
  }
}

std::optional<fs::path> Checkpoints::newest(std::vector<std::string>& rejected) const {
  std::vector<int64_t> all = steps();
  std::reverse(all.begin(), all.end());
  for (const int64_t step : all) {
    try {
      read_state(at(step));
      return at(step);
    } catch (const Error& e) {
      rejected.emplace_back(e.what());
    }
  }
  return std::nullopt;
}

void copy_weights(const fs::path& checkpoint, const fs::path& folder) {
  write_folder(folder, [&](const fs::path& at) {
    for (const auto& entry : fs::directory_iterator(checkpoint)) {
      if (is_of_model(entry.path().filename().string())) {
        fs::copy_file(entry.path(), at / entry.path().filename());
      }
    }
  });
}

bool holds_weights(const fs::path& checkpoint, const fs::path& folder) {
  const json state = read_state(checkpoint);
  const json& files = state.at("files");
  return std::all_of(files.items().begin(), files.items().end(), [&folder](const auto& file) {
    return !is_of_model(file.key()) ||
           (fs::exists(folder / file.key()) && file.value() == hash_file(folder / file.key()));
  });
}

Progress read_progress(const fs::path& checkpoint) {
  const json state = read_state(checkpoint);
  Progress progress;
  each(progress, [&](const char* key, auto& value) {
    try {
      value = state.at(key).get<std::remove_reference_t<decltype(value)>>();
    } catch (const json::exception&) {
      throw Error(fmt::format(
          "{}: \"{}\" is missing or of a wrong type", (checkpoint / kState).string(), key));
    }
  });
  return progress;
}

void restore_optimizer(const fs::path& checkpoint,
                       const std::vector<std::string>& parameter_names,
                       optim::AdamW& optimizer) {
  const io::TensorFile file = io::open_safetensors(checkpoint / kOptimizer);
  std::vector<at::Tensor> means;
  std::vector<at::Tensor> squares;
  for (const std::string& name : parameter_names) {
    means.push_back(tensor::from_view(file.at(name + ".exp_avg"), at::kFloat));
    squares.push_back(tensor::from_view(file.at(name + ".exp_avg_sq"), at::kFloat));
  }
  const auto updates = file.metadata().find("updates");
  check(updates != file.metadata().end(), "{}: no count of updates", file.path().string());
  optimizer.restore(means, squares, std::stoll(updates->second));
}

}  // namespace attune::train
