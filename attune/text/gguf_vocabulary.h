// Tokenizers out of GGUF metadata.
#pragma once

#include <memory>
#include <string>

#include "attune/io/gguf.h"
#include "attune/text/tokenizer_parts.h"

namespace attune::text {

/// Reads the keys tokenizer.ggml.*: models "gpt2" (byte-level BPE, split as `pre` says) and "llama"
/// (SentencePiece). `pre` takes the place of the file's own unless it is "". @throws Error for
/// other models and unknown `pre`.
std::unique_ptr<const TokenizerParts> build_from_gguf(const io::GgufFile& file,
                                                      const std::string& pre);

}  // namespace attune::text
