// A GGUF file's vocabulary as the tokenizer files of a Hugging Face folder.
#pragma once

#include <filesystem>
#include <string>

#include "attune/io/gguf.h"

namespace attune::text {

/// The texts of the files that transformers reads a tokenizer from.
struct TokenizerFiles {
  std::string tokenizer;          ///< tokenizer.json
  std::string tokenizer_config;   ///< tokenizer_config.json: special tokens and chat template
  std::string generation_config;  ///< generation_config.json: the ids that end a text
};

/// The tokenizer of a GGUF file in Hugging Face's form; it gives the same ids for every text.
/// @throws Error for a vocabulary that is not byte-level ("gpt2"), or that attune does not know.
TokenizerFiles to_huggingface(const io::GgufFile& file);

/// Writes the files into `folder`, which exists. @throws Error if the disk is full.
void write_tokenizer(const TokenizerFiles& files, const std::filesystem::path& folder);

}  // namespace attune::text
