#include "attune/text/gguf_vocabulary.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/core/hint.h"
#include "attune/text/bpe_model.h"
#include "attune/text/sentencepiece_model.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

// GGUF's tokenizer.ggml.token_type.
constexpr int64_t kUnknownToken = 2;
constexpr int64_t kControlToken = 3;
constexpr int64_t kUserDefinedToken = 4;

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";

constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::array<std::string_view, 6> kGpt2Names = {
    "gpt-2", "gpt2", "mpt", "olmo", "phi-2", "roberta-bpe"};
constexpr std::array<std::string_view, 6> kDigitNames = {
    "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"};
constexpr std::array<std::string_view, 6> kLlama3Names = {
    "llama3", "llama-v3", "llama-bpe", "smaug-bpe", "dbrx", "falcon3"};
constexpr std::array<std::string_view, 4> kQwen2Names = {
    "qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"};

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

GgufSplit split_of(const std::string& pre) {
  const std::string gpt2(kGpt2Pattern);
  if (among(kGpt2Names, pre)) {
    return {.patterns = {gpt2}};
  }
  if (among(kDigitNames, pre)) {
    return {.patterns = {std::string(kDigit), gpt2}};
  }
  if (among(kLlama3Names, pre)) {
    const bool llama = pre != "dbrx" && pre != "smaug-bpe";
    return {.patterns = {std::string(kLlama3Pattern)}, .ignore_merges = llama, .adds_bos = llama};
  }
  if (among(kQwen2Names, pre)) {
    // The format does not say that Qwen's texts are composed first; its own tokenizer does.
    return {.patterns = {std::string(kQwen2Pattern)}, .nfc = pre != "stablelm2"};
  }
  if (pre == "default") {
    return {.patterns = {R"([\p{P}$+<=>^~|]+)", gpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}};
  }
  std::vector<std::string_view> known = {"default"};
  for (const auto names : {std::span<const std::string_view>(kGpt2Names),
                           std::span<const std::string_view>(kDigitNames),
                           std::span<const std::string_view>(kLlama3Names),
                           std::span<const std::string_view>(kQwen2Names)}) {
    known.insert(known.end(), names.begin(), names.end());
  }
  throw Error(
      fmt::format("tokenizer.ggml.pre: attune does not know the split \"{}\".{} It knows {}.",
                  pre,
                  did_you_mean(pre, known),
                  fmt::join(known, ", ")));
}

std::optional<int32_t> id_or_none(const io::GgufFile& file, std::string_view key) {
  if (!file.has(key)) {
    return std::nullopt;
  }
  const int64_t id = file.get_int(key);
  if (id < 0 || id == 0xffffffff) {  // how some converters write "none"
    return std::nullopt;
  }
  check(id <= INT32_MAX, "{}: id {} is out of range.", key, id);
  return static_cast<int32_t>(id);
}

bool flag(const io::GgufFile& file, std::string_view key, bool otherwise) {
  return file.has(key) ? file.get_bool(key) : otherwise;
}

void read_tokens(const io::GgufFile& file, TokenizerParts& parts) {
  const auto& tokens = file.get_strings(kTokens);
  check(!tokens.empty(), "{}: the vocabulary is empty.", kTokens);
  parts.vocabulary = std::make_unique<Vocabulary>(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    check(is_utf8(tokens[id]), "{}: token {} is no UTF-8.", kTokens, id);
    parts.vocabulary->add(tokens[id], static_cast<int64_t>(id));
  }
  if (!file.has(kTypes)) {
    return;
  }
  const auto& types = file.get_ints(kTypes);
  check(types.size() == tokens.size(),
        "{}: {} types for {} tokens.",
        kTypes,
        types.size(),
        tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool special = types[id] == kControlToken || types[id] == kUnknownToken;
    if ((special || types[id] == kUserDefinedToken) && !tokens[id].empty()) {
      AddedToken token;
      token.content = tokens[id];
      token.id = static_cast<int32_t>(id);
      token.special = special;
      parts.added.push_back(std::move(token));
    }
  }
}

void read_special_ids(const io::GgufFile& file, bool adds_bos, TokenizerParts& parts) {
  parts.bos = id_or_none(file, "tokenizer.ggml.bos_token_id");
  parts.eos = id_or_none(file, "tokenizer.ggml.eos_token_id");
  parts.pad = id_or_none(file, "tokenizer.ggml.padding_token_id");
  for (const auto key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = id_or_none(file, key); id && parts.vocabulary->has(*id)) {
      parts.end_of_turn.push_back(*id);
    }
  }
  if (parts.bos && flag(file, "tokenizer.ggml.add_bos_token", adds_bos)) {
    parts.prefix.push_back(*parts.bos);
  }
  if (parts.eos && flag(file, "tokenizer.ggml.add_eos_token", false)) {
    parts.suffix.push_back(*parts.eos);
  }
  if (file.has("tokenizer.chat_template")) {
    parts.chat_template = file.get_string("tokenizer.chat_template");
  }
}

std::string pre_of(const io::GgufFile& file, const std::string& named) {
  constexpr std::string_view kPre = "tokenizer.ggml.pre";
  return !named.empty() ? named : file.has(kPre) ? file.get_string(kPre) : "default";
}

void build_byte_level(const io::GgufFile& file,
                      const std::string& pre,
                      Hasher& hasher,
                      TokenizerParts& parts) {
  const GgufSplit split = split_of(pre);
  BpeOptions options;
  options.ignore_merges = split.ignore_merges;
  const auto merges = gguf_merges(file);
  if (split.nfc) {
    parts.normalizer =
        Normalizer({[](std::string_view text) { return normalised(text, NormalForm::kNfc); }});
  }
  parts.pre_tokenizer = PreTokenizer::of_patterns(split.patterns);
  parts.decoder = Decoder::byte_level();
  parts.encoder = std::make_unique<PieceEncoder>(
      std::make_unique<BpeModel>(*parts.vocabulary, merges, options), /*byte_level=*/true);
  read_special_ids(file, split.adds_bos, parts);
  hasher.add(pre);
  for (const auto& [left, right] : merges) {
    hasher.add(left).add(right);
  }
}

void build_sentencepiece(const io::GgufFile& file, Hasher& hasher, TokenizerParts& parts) {
  const auto& scores = file.get_floats("tokenizer.ggml.scores");
  const bool prefix = flag(file, "tokenizer.ggml.add_space_prefix", true);
  std::vector<float> narrow;
  narrow.reserve(scores.size());
  for (const double score : scores) {
    narrow.push_back(static_cast<float>(score));
    hasher.add(score);
  }
  hasher.add(int64_t{prefix});
  parts.normalizer = Normalizer({[prefix](std::string_view text) {
    return replaced(
        text.empty() || !prefix ? std::string(text) : " " + std::string(text), " ", "\xe2\x96\x81");
  }});
  parts.decoder = Decoder::sentencepiece(prefix);
  const auto unk = id_or_none(file, "tokenizer.ggml.unknown_token_id");
  check(!unk || parts.vocabulary->has(*unk),
        "tokenizer.ggml.unknown_token_id: id {} is not in the vocabulary.",
        unk.value_or(-1));
  parts.encoder = std::make_unique<PieceEncoder>(
      std::make_unique<SentencePieceModel>(*parts.vocabulary, std::move(narrow), unk),
      /*byte_level=*/false);
  read_special_ids(file, /*adds_bos=*/true, parts);
}

}  // namespace

GgufSplit gguf_split(const io::GgufFile& file, const std::string& pre) {
  return split_of(pre_of(file, pre));
}

std::vector<std::pair<std::string, std::string>> gguf_merges(const io::GgufFile& file) {
  constexpr std::string_view kMerges = "tokenizer.ggml.merges";
  std::vector<std::pair<std::string, std::string>> merges;
  for (const std::string& merge : file.get_strings(kMerges)) {
    // A token never begins with a space, so the first one behind its first byte divides.
    const size_t space = merge.find(' ', 1);
    check(space != std::string::npos, "{}: merge {} has no space.", kMerges, merges.size());
    merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return merges;
}

std::unique_ptr<const TokenizerParts> build_from_gguf(const io::GgufFile& file,
                                                      const std::string& pre) {
  constexpr std::string_view kModelKey = "tokenizer.ggml.model";
  const std::string& model = file.get_string(kModelKey);
  check(model == "gpt2" || model == "llama",
        "{}: attune has gpt2 and llama, got \"{}\".",
        kModelKey,
        model);
  auto parts = std::make_unique<TokenizerParts>();
  read_tokens(file, *parts);
  Hasher hasher;
  hasher.add("gguf").add(model);
  model == "gpt2" ? build_byte_level(file, pre_of(file, pre), hasher, *parts)
                  : build_sentencepiece(file, hasher, *parts);
  for (const std::string& token : file.get_strings(kTokens)) {
    hasher.add(token);
  }
  for (const AddedToken& token : parts->added) {
    hasher.add(int64_t{token.id}).add(int64_t{token.special});
  }
  for (const auto* ids : {&parts->prefix, &parts->suffix}) {
    hasher.add(static_cast<int64_t>(ids->size()));
    for (const int32_t id : *ids) {
      hasher.add(int64_t{id});
    }
  }
  parts->fingerprint = hasher.hex();
  parts->finish();
  return parts;
}

}  // namespace attune::text
