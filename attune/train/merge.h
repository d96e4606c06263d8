// An adapter folded into its model: what `attune merge` does. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace attune::train {

/// What is merged into what.
struct MergeOptions {
  std::filesystem::path model;    ///< Hugging Face folder or .gguf file.
  std::filesystem::path adapter;  ///< PEFT folder.
  std::filesystem::path output;   ///< New folder: must not exist, or be empty.
  std::string dtype = "f32";      ///< f32 or bf16: how the weights are written.
};

/// What was written.
struct MergeResult {
  int64_t adapted = 0;  ///< Layers that the adapter changed.
  int64_t weights = 0;  ///< Numbers of the model.
  int64_t bytes = 0;    ///< Of all files.
  std::string warning;  ///< That the adapter may be of another model; else empty.
};

/// Writes the model with the adapter's update in its weights, W + scale B A, as a folder that
/// transformers loads, with the tokenizer. All of it appears at once, or nothing.
/// @throws Error if something is missing, the adapter is another model's, `output` holds files, or
/// the disk is full.
MergeResult merge_adapter(const MergeOptions& options);

}  // namespace attune::train
