#include "attune/model/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hash.h"
#include "attune/io/gguf.h"
#include "attune/io/safetensors_writer.h"
#include "attune/model/gguf_names.h"
#include "attune/tensor/convert.h"

namespace attune::model {
namespace {

namespace fs = std::filesystem;

// The shape that each weight must have, by Hugging Face's name.
std::vector<int64_t> expected_shape(const DecoderShape& s, const std::string& name) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  const bool bias = name.ends_with(".bias");
  const auto linear = [&](int64_t out, int64_t in) {
    return bias ? std::vector<int64_t>{out} : std::vector<int64_t>{out, in};
  };
  if (has("embed_tokens") || has("lm_head")) {
    return {s.vocabulary, s.width};
  }
  if (has("q_norm") || has("k_norm")) {
    return {s.head_dim};
  }
  if (has("norm")) {
    return {s.width};
  }
  if (has("q_proj")) {
    return linear(s.heads * s.head_dim, s.width);
  }
  if (has("k_proj") || has("v_proj")) {
    return linear(s.kv_heads * s.head_dim, s.width);
  }
  if (has("o_proj")) {
    return linear(s.width, s.heads * s.head_dim);
  }
  if (has("down_proj")) {
    return linear(s.width, s.feed_forward);
  }
  return linear(s.feed_forward, s.width);
}

const io::TensorView& view_of(const Source& source, const std::string& name) {
  const io::TensorView& view = source.tensors->at(source.gguf ? gguf_name(name) : name);
  const std::vector<int64_t> want = expected_shape(source.shape, name);
  check(view.shape == want,
        "{}: tensor {} must be {} for this config, got {}",
        source.path.string(),
        view.name,
        io::shape_text(want),
        io::shape_text(view.shape));
  return view;
}

// Weights of layers that the config does not count would be left out without a word.
void refuse_further_layers(const Source& source) {
  const std::string prefix = source.gguf ? "blk." : "model.layers.";
  for (const io::TensorView& view : source.tensors->tensors()) {
    int64_t layer = -1;
    if (view.name.starts_with(prefix)) {
      const char* end = view.name.data() + view.name.size();
      std::from_chars(view.name.data() + prefix.size(), end, layer);
    }
    check(layer < source.shape.layers,
          "{}: tensor {} is of layer {}, but the config says {} layers",
          source.path.string(),
          view.name,
          layer,
          source.shape.layers);
  }
}

// GGUF keeps rotated pairs side by side: row (head, pair, half) -> (head, half, pair).
at::Tensor with_halves_apart(const at::Tensor& weight, int64_t heads) {
  std::vector<int64_t> split{heads, weight.size(0) / heads / 2, 2};
  const std::vector<int64_t> rest(weight.sizes().begin() + 1, weight.sizes().end());
  split.insert(split.end(), rest.begin(), rest.end());
  return weight.view(split).transpose(1, 2).reshape(weight.sizes()).contiguous();
}

}  // namespace

std::string Source::fingerprint() const {
  Hasher hasher;
  hasher.add(config_json(shape, at::kFloat));
  for (const io::TensorView& view : tensors->tensors()) {
    hasher.add(view.name).add(io::name(view.dtype)).add(view.bytes);
    tensors->release_pages();
  }
  return hasher.hex();
}

Source open_model(const fs::path& path) {
  check(!path.empty(), "model.path is empty; name a Hugging Face folder or a .gguf file");
  check(fs::exists(path), "{}: no such file or folder", path.string());
  Source source{.path = path};
  if (fs::is_directory(path)) {
    const fs::path config = path / "config.json";
    check(fs::exists(config),
          "{}: no config.json in this folder; a Hugging Face model folder has config.json, "
          "*.safetensors and tokenizer.json",
          path.string());
    source.config = read_file(config);
    source.shape = shape_from_config(source.config, config.string());
    source.tensors = std::make_shared<io::TensorFile>(io::open_checkpoint(path));
    // A checkpoint may hold the head although the config ties it, or leave it out and tie silently.
    if (!source.shape.tied_head && source.tensors->find("lm_head.weight") == nullptr) {
      throw Error(
          fmt::format("{}: no tensor lm_head.weight, but config.json says that the head is "
                      "not tied (tie_word_embeddings)",
                      path.string()));
    }
  } else {
    const io::GgufFile file = io::GgufFile::open(path);
    source.gguf = true;
    source.shape = shape_from_gguf(file);
    source.config = config_from_gguf(file, source.shape);
    source.tensors = std::make_shared<io::TensorFile>(file.tensor_file());
  }
  Decoder(source.shape).each_weight([&](const std::string& name, at::Tensor&) {
    view_of(source, name);
  });
  refuse_further_layers(source);
  return source;
}

std::unique_ptr<Decoder> load_model(const Source& source, at::ScalarType dtype) {
  auto model = std::make_unique<Decoder>(source.shape);
  const bool apart = source.gguf && interleaves_rotary_rows(source.shape.architecture);
  model->each_weight([&](const std::string& name, at::Tensor& weight) {
    const io::TensorView& view = view_of(source, name);
    weight = tensor::from_view(view, view.shape.size() < 2 ? at::kFloat : dtype);
    if (apart && name.find("q_proj") != std::string::npos) {
      weight = with_halves_apart(weight, source.shape.heads);
    }
    if (apart && name.find("k_proj") != std::string::npos) {
      weight = with_halves_apart(weight, source.shape.kv_heads);
    }
    source.tensors->release_pages();  // or the file would stand in memory beside its copy
  });
  return model;
}

void save_model(Decoder& model,
                const Source& source,
                const fs::path& folder,
                at::ScalarType dtype) {
  std::vector<std::pair<std::string, at::Tensor>> merged;
  std::vector<std::pair<std::string, const adapter::Linear*>> adapted;
  model.each_linear([&](const std::string& path, adapter::Linear& linear) {
    if (linear.lora) {
      adapted.emplace_back(path + ".weight", &linear);
    }
  });
  model.each_weight([&](const std::string& name, at::Tensor& weight) {
    const auto found = std::find_if(
        adapted.begin(), adapted.end(), [&](const auto& entry) { return entry.first == name; });
    const at::Tensor full = found == adapted.end() ? weight : found->second->merged_weight();
    merged.emplace_back(name, full.detach().to(dtype).contiguous());
  });
  std::vector<io::TensorView> views;
  for (const auto& [name, tensor] : merged) {
    views.push_back(tensor::to_view(name, tensor));
  }
  write_folder(folder, [&](const fs::path& at) {
    io::write_safetensors(at / "model.safetensors", views, {{"format", "pt"}});
    write_file(at / "config.json", with_dtype(source.config, dtype));
    static constexpr std::array kTokenizerFiles{"tokenizer.json",
                                                "tokenizer_config.json",
                                                "special_tokens_map.json",
                                                "generation_config.json",
                                                "chat_template.jinja"};
    for (const char* file : kTokenizerFiles) {
      if (!source.gguf && fs::exists(source.path / file)) {
        write_file(at / file, read_file(source.path / file));
      }
    }
  });
}

}  // namespace attune::model
