// Tokenizers out of GGUF metadata.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attune/io/gguf.h"
#include "attune/text/tokenizer_parts.h"

namespace attune::text {

/// How the texts of one family of byte-level vocabularies fall into pieces.
struct GgufSplit {
  std::vector<std::string> patterns;  ///< One after the other, each match a piece of its own.
  bool ignore_merges = false;         ///< A piece that is a token is that token.
  bool adds_bos = false;              ///< Texts begin with the begin token, unless the file says.
  bool nfc = false;                   ///< Texts are composed first.
};

/// The split that `pre`, or without it the file's tokenizer.ggml.pre, names.
/// @throws Error for an unknown name.
GgufSplit gguf_split(const io::GgufFile& file, const std::string& pre);

/// tokenizer.ggml.merges, in order of rank. @throws Error for a merge that is no pair.
std::vector<std::pair<std::string, std::string>> gguf_merges(const io::GgufFile& file);

/// Reads the keys tokenizer.ggml.*: models "gpt2" (byte-level BPE, split as `pre` says) and "llama"
/// (SentencePiece). `pre` takes the place of the file's own unless it is "". @throws Error for
/// other models and unknown `pre`.
std::unique_ptr<const TokenizerParts> build_from_gguf(const io::GgufFile& file,
                                                      const std::string& pre);

}  // namespace attune::text
