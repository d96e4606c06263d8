// Text to token ids and back, exactly as Hugging Face's tokenizer.json or a GGUF vocabulary says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attune::io {
class GgufFile;
}

namespace attune::text {

struct TokenizerParts;

/// How a text becomes ids.
struct EncodeOptions {
  /// Adds what the tokenizer itself puts around a text: BOS and EOS by its post-processor, or by
  /// the flags of a GGUF file. A rendered chat template has its own; leave this false for it.
  bool add_special = false;
  /// The text of a special token in the input becomes its id, as Hugging Face does. False keeps
  /// "<|im_end|>" in a user's message plain text.
  bool parse_special = true;
};

/// How a tokenizer is read.
struct LoadOptions {
  /// Takes the place of a GGUF file's `tokenizer.ggml.pre`, the name of how texts are split. The
  /// file's own, "", is how the model was taught. "gpt-2" gives the ids that Python's transformers
  /// makes of any byte-level GGUF file, since it does not read that key.
  std::string gguf_pre = {};
};

/// A vocabulary with its rules. Immutable; every method may be called from any thread.
class Tokenizer {
 public:
  /// Reads a Hugging Face folder (tokenizer.json, with tokenizer_config.json,
  /// special_tokens_map.json, chat_template.jinja, generation_config.json and config.json where
  /// they are there), a tokenizer.json file (its neighbours count, too), or a .gguf file.
  /// @throws Error if a file is broken, or names a component that attune does not have.
  static std::shared_ptr<const Tokenizer> load(const std::filesystem::path& path,
                                               const LoadOptions& options = {});

  /// From the metadata of an open GGUF file (`tokenizer.ggml.model` gpt2 or llama).
  static std::shared_ptr<const Tokenizer> from_gguf(const io::GgufFile& file,
                                                    const LoadOptions& options = {});

  /// From the texts of tokenizer.json and of tokenizer_config.json ("" if there is none).
  static std::shared_ptr<const Tokenizer> from_json(std::string_view tokenizer_json,
                                                    std::string_view config_json = {});

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// The ids of `text`. Invalid UTF-8 is read as U+FFFD, one for each maximal ill-formed part, as
  /// Python's `bytes.decode("utf-8", "replace")` does.
  /// Characters that the vocabulary cannot spell become its unknown token, or vanish if it has
  /// none, as in Hugging Face's tokenizers.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// The text of `ids`; bytes that are no UTF-8 become U+FFFD. `skip_special` leaves special tokens
  /// out. @throws Error for an id that is not in the vocabulary.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  /// One more than the largest id, added tokens included. A model's embedding may have more rows.
  int64_t vocab_size() const;

  std::optional<int32_t> bos() const;  ///< begins a text, if the vocabulary names one
  std::optional<int32_t> eos() const;  ///< ends a text, if the vocabulary names one
  std::optional<int32_t> pad() const;  ///< fills a batch, if the vocabulary names one

  /// Every id that ends a reply, ascending: eos, the end-of-turn tokens of known chat formats
  /// (<|im_end|>, <|eot_id|>, ...) and generation_config.json's list.
  const std::vector<int32_t>& end_of_turn() const;

  /// The token as it is written in the vocabulary (" the" is "Ġthe" in a byte-level one).
  /// @throws Error for an id that is not in the vocabulary.
  std::string token_text(int32_t id) const;

  /// The id of a token as it is written in the vocabulary.
  std::optional<int32_t> find(std::string_view token) const;

  /// A token that stands for itself and not for words (<s>, <|im_end|>). False for unknown ids.
  bool is_special(int32_t id) const;

  /// The chat template, in Jinja, or "".
  const std::string& chat_template() const;

  /// A hash of everything that changes what `encode` gives: the key of token caches.
  const std::string& fingerprint() const;

  /// The bytes that `id` adds to a text that already holds `num_before` tokens; may end within a
  /// character. For StreamDecoder. @throws Error for an id that is not in the vocabulary.
  std::string token_bytes(int32_t id, int64_t num_before) const;

 private:
  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace attune::text
