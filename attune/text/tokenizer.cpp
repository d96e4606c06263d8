#include "attune/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/io/gguf.h"
#include "attune/text/gguf_vocabulary.h"
#include "attune/text/tokenizer_parts.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

// Special tokens that end a turn in the chat formats that are about.
constexpr std::array<std::string_view, 10> kEndsOfTurn = {"<|im_end|>",
                                                          "<|eot_id|>",
                                                          "<|eom_id|>",
                                                          "<|end|>",
                                                          "<|end_of_turn|>",
                                                          "<end_of_turn>",
                                                          "<|endoftext|>",
                                                          "<|end_of_text|>",
                                                          "<｜end▁of▁sentence｜>",
                                                          "<|return|>"};

std::string read_if_there(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path) ? read_file(path) : std::string();
}

// Encodes one text: the path from raw text to ids.
class Encoding {
 public:
  Encoding(const TokenizerParts& parts, bool skip_special, std::vector<int32_t>& ids)
      : parts_(parts), skip_special_(skip_special), ids_(ids), lease_(*parts.encoder) {}

  void run(std::string_view text) {
    for (const auto& stretch : parts_.raw_finder.cut(text, skip_special_)) {
      if (stretch.id) {
        ids_.push_back(*stretch.id);
        continue;
      }
      const auto part = text.substr(stretch.begin, stretch.end - stretch.begin);
      if (parts_.normalizer.empty()) {
        find_normalized(part, stretch.begin == 0);
      } else {
        find_normalized(parts_.normalizer(part), stretch.begin == 0);
      }
    }
  }

 private:
  void find_normalized(std::string_view text, bool at_start) {
    if (parts_.normalized_finder.empty()) {
      encode_plain(text, at_start);
      return;
    }
    for (const auto& stretch : parts_.normalized_finder.cut(text, skip_special_)) {
      if (stretch.id) {
        ids_.push_back(*stretch.id);
      } else {
        encode_plain(text.substr(stretch.begin, stretch.end - stretch.begin),
                     at_start && stretch.begin == 0);
      }
    }
  }

  void encode_plain(std::string_view text, bool at_start) {
    pieces_.made.clear();
    parts_.pre_tokenizer.split(text, at_start, pieces_);
    for (const Piece& piece : pieces_.list) {
      if (!piece.text.empty()) {
        lease_.encode(piece.text, ids_);
      }
    }
  }

  const TokenizerParts& parts_;
  bool skip_special_;
  std::vector<int32_t>& ids_;
  PieceEncoder::Lease lease_;
  Pieces pieces_;
};

}  // namespace

void TokenizerParts::finish() {
  is_special.assign(static_cast<size_t>(vocabulary->size()), false);
  for (const AddedToken& token : added) {
    is_special[static_cast<size_t>(token.id)] = token.special;
    if (token.normalized) {
      normalized_finder.add(normalizer(token.content), token);
    } else {
      raw_finder.add(token.content, token);
    }
    if (token.special &&
        std::find(kEndsOfTurn.begin(), kEndsOfTurn.end(), token.content) != kEndsOfTurn.end()) {
      end_of_turn.push_back(token.id);
    }
  }
  if (eos) {
    end_of_turn.push_back(*eos);
  }
  std::sort(end_of_turn.begin(), end_of_turn.end());
  end_of_turn.erase(std::unique(end_of_turn.begin(), end_of_turn.end()), end_of_turn.end());
  const auto known = [&](std::string_view what, std::optional<int32_t> id) {
    check(!id || vocabulary->has(*id),
          "tokenizer: the {} token has id {}, which is not in the vocabulary of {}.",
          what,
          id.value_or(-1),
          vocabulary->size());
  };
  known("bos", bos);
  known("eos", eos);
  known("pad", pad);
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::filesystem::path& path,
                                                 const LoadOptions& options) {
  if (path.extension() == ".gguf") {
    return from_gguf(io::GgufFile::open(path), options);
  }
  const bool is_folder = std::filesystem::is_directory(path);
  const std::filesystem::path folder = is_folder ? path : path.parent_path();
  const std::filesystem::path file = is_folder ? path / "tokenizer.json" : path;
  check(std::filesystem::is_regular_file(file),
        "{}: no tokenizer here, expected a .gguf file, a tokenizer.json or a folder with one.",
        file.string());
  try {
    return std::shared_ptr<const Tokenizer>(new Tokenizer(
        build_from_json({.tokenizer = read_file(file),
                         .tokenizer_config = read_if_there(folder / "tokenizer_config.json"),
                         .special_tokens_map = read_if_there(folder / "special_tokens_map.json"),
                         .generation_config = read_if_there(folder / "generation_config.json"),
                         .model_config = read_if_there(folder / "config.json"),
                         .chat_template = read_if_there(folder / "chat_template.jinja")})));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", folder.string(), error.what()));
  }
}

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const io::GgufFile& file,
                                                      const LoadOptions& options) {
  try {
    return std::shared_ptr<const Tokenizer>(new Tokenizer(build_from_gguf(file, options.gguf_pre)));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.path().string(), error.what()));
  }
}

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json,
                                                      std::string_view config_json) {
  return std::shared_ptr<const Tokenizer>(
      new Tokenizer(build_from_json({.tokenizer = std::string(tokenizer_json),
                                     .tokenizer_config = std::string(config_json),
                                     .special_tokens_map = {},
                                     .generation_config = {},
                                     .model_config = {},
                                     .chat_template = {}})));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 4 + 4);
  if (options.add_special) {
    ids = parts_->prefix;
  }
  const bool valid = is_utf8(text);
  const std::string repaired = valid ? std::string() : repaired_utf8(text);
  Encoding(*parts_, !options.parse_special, ids).run(valid ? text : std::string_view(repaired));
  if (options.add_special) {
    ids.insert(ids.end(), parts_->suffix.begin(), parts_->suffix.end());
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  int64_t num_tokens = 0;
  for (const int32_t id : ids) {
    if (!skip_special || !is_special(id)) {
      bytes += token_bytes(id, num_tokens++);
    }
  }
  return is_utf8(bytes) ? bytes : repaired_utf8(bytes);
}

std::string Tokenizer::token_bytes(int32_t id, int64_t num_before) const {
  return parts_->decoder(parts_->vocabulary->text(id), num_before == 0);
}

int64_t Tokenizer::vocab_size() const {
  return parts_->vocabulary->size();
}
std::optional<int32_t> Tokenizer::bos() const {
  return parts_->bos;
}
std::optional<int32_t> Tokenizer::eos() const {
  return parts_->eos;
}
std::optional<int32_t> Tokenizer::pad() const {
  return parts_->pad;
}
const std::vector<int32_t>& Tokenizer::end_of_turn() const {
  return parts_->end_of_turn;
}
std::string Tokenizer::token_text(int32_t id) const {
  return parts_->vocabulary->text(id);
}
std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  return parts_->vocabulary->find(token);
}
bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && parts_->is_special[static_cast<size_t>(id)];
}
const std::string& Tokenizer::chat_template() const {
  return parts_->chat_template;
}
const std::string& Tokenizer::fingerprint() const {
  return parts_->fingerprint;
}

}  // namespace attune::text
