// Models from and to files: Hugging Face folders and GGUF.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <ATen/core/ScalarType.h>

#include "attune/io/tensor_file.h"
#include "attune/model/decoder.h"
#include "attune/model/options.h"

namespace attune::model {

/// A model's files, opened and checked, nothing of the weights read yet.
struct Source {
  std::filesystem::path path = {};  ///< The folder or the .gguf file.
  DecoderShape shape = {};
  bool gguf = false;
  std::string config = {};  ///< config.json: the folder's own, or what a GGUF file amounts to.
  std::shared_ptr<const io::TensorFile> tensors = {};

  /// Content hash of shape and weights (every byte is read once: about 10 GB/s).
  [[nodiscard]] std::string fingerprint() const;
};

/// Opens a Hugging Face folder (config.json and safetensors, in one file or in shards) or a .gguf
/// file.
/// @throws Error naming the file: not there, not a known architecture, an option of the
/// architecture that attune does not compute, a tensor missing or of a wrong shape.
Source open_model(const std::filesystem::path& path);

/// The shape that a config.json text describes; `where` names it in errors.
DecoderShape shape_from_config(const std::string& json, const std::string& where);

/// Reads the weights, frozen. `dtype`: kFloat or kBFloat16; norms and biases are always f32.
std::unique_ptr<Decoder> load_model(const Source& source, at::ScalarType dtype);

/// Writes a folder that transformers loads: config.json (the source's, with the new type),
/// model.safetensors (adapters merged in), and the tokenizer's files if the source is a folder that
/// has them. `dtype`: kFloat or kBFloat16.
/// @throws Error if the disk is full; nothing half written is left.
void save_model(Decoder& model,
                const Source& source,
                const std::filesystem::path& folder,
                at::ScalarType dtype);

/// A config.json with another type of weights, everything else kept.
std::string with_dtype(const std::string& config, at::ScalarType dtype);

/// config.json's text for a shape.
std::string config_json(const DecoderShape& shape, at::ScalarType dtype);

}  // namespace attune::model
