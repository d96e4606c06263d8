// What a Tokenizer is made of, and the builders that make it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/text/added_tokens.h"
#include "attune/text/decoder.h"
#include "attune/text/normalizer.h"
#include "attune/text/piece_encoder.h"
#include "attune/text/pre_tokenizer.h"
#include "attune/text/vocabulary.h"

namespace attune::text {

/// All of a tokenizer. `vocabulary` holds the model's tokens and the added ones.
struct TokenizerParts {
  std::unique_ptr<Vocabulary> vocabulary;  // stays where it is: the model points to it
  std::unique_ptr<PieceEncoder> encoder;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;
  std::vector<AddedToken> added;
  std::vector<int32_t> prefix;  ///< ids before a text where add_special is set
  std::vector<int32_t> suffix;  ///< ids behind it
  std::optional<int32_t> bos;
  std::optional<int32_t> eos;
  std::optional<int32_t> pad;
  std::vector<int32_t> end_of_turn;  ///< in any order until `finish`
  std::string chat_template;
  std::string fingerprint;

  // Made by `finish`.
  TokenFinder raw_finder;         ///< tokens that are looked for in the text as it is
  TokenFinder normalized_finder;  ///< and in the normalised text
  std::vector<bool> is_special;   ///< by id

  /// Builds what follows from `added`, and sorts and completes `end_of_turn`. @throws Error if an
  /// id is not in the vocabulary.
  void finish();
};

/// The texts of a Hugging Face folder; "" where a file is missing.
struct HuggingFaceTexts {
  std::string tokenizer;           ///< tokenizer.json
  std::string tokenizer_config;    ///< tokenizer_config.json
  std::string special_tokens_map;  ///< special_tokens_map.json
  std::string generation_config;   ///< generation_config.json
  std::string model_config;        ///< config.json
  std::string chat_template;       ///< chat_template.jinja
};

std::unique_ptr<const TokenizerParts> build_from_json(const HuggingFaceTexts& texts);

}  // namespace attune::text
