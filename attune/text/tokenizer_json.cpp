// Builds a tokenizer from Hugging Face's files.
#include <algorithm>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/text/bpe_model.h"
#include "attune/text/json_reader.h"
#include "attune/text/post_processor.h"
#include "attune/text/tokenizer_parts.h"

namespace attune::text {

namespace {

constexpr std::string_view kModel = "tokenizer.json: model";
constexpr std::string_view kAdded = "tokenizer.json: added_tokens";

const Json& part_of(const Json& root, std::string_view key) {
  static const Json nothing;
  const Json* part = find_field(root, key, "tokenizer.json");
  return part == nullptr ? nothing : *part;
}

std::pair<std::string, std::string> merge_of(const Json& merge, size_t rank) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  check(merge.is_string(),
        "{}: merge {} must be a string or a pair of strings, got {}.",
        kModel,
        rank,
        merge.type_name());
  const auto& text = merge.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  check(space != std::string::npos && text.find(' ', space + 1) == std::string::npos,
        "{}: merge {} must be two tokens with a space between, got \"{}\".",
        kModel,
        rank,
        text);
  return {text.substr(0, space), text.substr(space + 1)};
}

void add_vocabulary(const Json& model, Vocabulary& vocabulary) {
  const Json* vocab = find_field(model, "vocab", kModel);
  check(vocab != nullptr && vocab->is_object(), "{}: \"vocab\" must be an object.", kModel);
  check(!vocab->empty(), "{}: the vocabulary is empty.", kModel);
  for (const auto& [token, id] : vocab->items()) {
    const bool fits =
        id.is_number_integer() && (!id.is_number_unsigned() || id.get<uint64_t>() <= INT64_MAX);
    check(
        fits, "{}: token \"{}\" must have an integer as its id, got {}.", kModel, token, id.dump());
    vocabulary.add(token, id.get<int64_t>());
  }
}

std::unique_ptr<const Model> model_of(const Json& model, const Vocabulary& vocabulary) {
  // Old files leave the type of a BPE model out.
  const std::string type = text_field(model, "type", "BPE", kModel);
  if (type != "BPE") {
    unsupported(kModel, type);
  }
  const Json* dropout = find_field(model, "dropout", kModel);
  if (dropout != nullptr && *dropout != 0.0) {
    unsupported(kModel, "dropout");
  }
  BpeOptions options;
  options.byte_fallback = bool_field(model, "byte_fallback", false, kModel);
  options.fuse_unk = bool_field(model, "fuse_unk", false, kModel);
  options.ignore_merges = bool_field(model, "ignore_merges", false, kModel);
  options.continuing_subword_prefix = text_field(model, "continuing_subword_prefix", "", kModel);
  options.end_of_word_suffix = text_field(model, "end_of_word_suffix", "", kModel);
  if (find_field(model, "unk_token", kModel) != nullptr) {
    options.unk_token = text_field(model, "unk_token", kModel);
  }
  std::vector<std::pair<std::string, std::string>> merges;
  const Json& list = array_field(model, "merges", kModel);
  merges.reserve(list.size());
  for (const Json& merge : list) {
    merges.push_back(merge_of(merge, merges.size()));
  }
  return std::make_unique<BpeModel>(vocabulary, merges, std::move(options));
}

AddedToken added_token(const Json& entry, int64_t id) {
  AddedToken token;
  token.content = text_field(entry, "content", kAdded);
  token.special = bool_field(entry, "special", false, kAdded);
  token.normalized = bool_field(entry, "normalized", !token.special, kAdded);
  token.single_word = bool_field(entry, "single_word", false, kAdded);
  token.lstrip = bool_field(entry, "lstrip", false, kAdded);
  token.rstrip = bool_field(entry, "rstrip", false, kAdded);
  check(id >= 0 && id <= INT32_MAX, "{}: \"{}\" has id {}.", kAdded, token.content, id);
  token.id = static_cast<int32_t>(id);
  return token;
}

void add_token(AddedToken token, TokenizerParts& parts) {
  if (token.content.empty()) {
    return;
  }
  parts.vocabulary->add(token.content, token.id);
  const auto same = std::find_if(parts.added.begin(), parts.added.end(), [&](const auto& other) {
    return other.id == token.id;
  });
  if (same == parts.added.end()) {
    parts.added.push_back(std::move(token));
  }
}

void read_added_tokens(const Json& root, const Json& config, TokenizerParts& parts) {
  if (const Json* added = find_field(root, "added_tokens", "tokenizer.json")) {
    check(added->is_array(), "{}: must be an array.", kAdded);
    for (const Json& entry : *added) {
      add_token(added_token(entry, int_field(entry, "id", kAdded)), parts);
    }
  }
  constexpr std::string_view kWhere = "tokenizer_config.json: added_tokens_decoder";
  const Json* decoder = find_field(config, "added_tokens_decoder", "tokenizer_config.json");
  if (decoder != nullptr) {
    check(decoder->is_object(), "{}: must be an object.", kWhere);
    for (const auto& [id, entry] : decoder->items()) {
      const bool digits =
          !id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == std::string::npos;
      check(digits, "{}: \"{}\" is no id.", kWhere, id);
      add_token(added_token(entry, std::stoll(id)), parts);
    }
  }
}

// The id of "bos_token" and its like: a text or an object with "content".
std::optional<int32_t> named_token(const Json& config,
                                   std::string_view key,
                                   const Vocabulary& vocabulary) {
  const Json* field = find_field(config, key, "tokenizer_config.json");
  if (field == nullptr) {
    return std::nullopt;
  }
  const std::string text = field->is_string()
                               ? field->get<std::string>()
                               : text_field(*field, "content", "tokenizer_config.json");
  return vocabulary.find(text);
}

// An id, or several, of config.json and generation_config.json.
std::vector<int32_t> ids_of(const Json& config,
                            std::string_view key,
                            const Vocabulary& vocabulary) {
  std::vector<int32_t> ids;
  const Json* field = find_field(config, key, "config.json");
  if (field == nullptr) {
    return ids;
  }
  for (const Json& id : field->is_array() ? *field : Json::array({*field})) {
    // A model's configuration may name rows that this tokenizer does not have.
    if (id.is_number_integer() && vocabulary.has(id.get<int64_t>())) {
      ids.push_back(id.get<int32_t>());
    }
  }
  return ids;
}

void read_special_ids(const std::vector<Json>& named,
                      const std::vector<Json>& numbered,
                      TokenizerParts& parts) {
  const auto choose = [&](std::optional<int32_t>& id, std::string_view key) {
    for (const Json& config : named) {
      id = id ? id : named_token(config, key, *parts.vocabulary);
    }
    for (const Json& config : numbered) {
      const auto ids = ids_of(config, std::string(key) + "_id", *parts.vocabulary);
      if (!id && !ids.empty()) {
        id = ids.front();
      }
    }
  };
  choose(parts.bos, "bos_token");
  choose(parts.eos, "eos_token");
  choose(parts.pad, "pad_token");
  for (const Json& config : numbered) {
    const auto ids = ids_of(config, "eos_token_id", *parts.vocabulary);
    parts.end_of_turn.insert(parts.end_of_turn.end(), ids.begin(), ids.end());
  }
}

// A text, or a list of named ones of which "default" counts.
std::string chat_template_of(const Json& config) {
  constexpr std::string_view kWhere = "tokenizer_config.json: chat_template";
  const Json* field = find_field(config, "chat_template", "tokenizer_config.json");
  if (field == nullptr) {
    return {};
  }
  if (field->is_string()) {
    return field->get<std::string>();
  }
  check(field->is_array(), "{}: must be a string or a list, got {}.", kWhere, field->type_name());
  for (const Json& entry : *field) {
    if (text_field(entry, "name", kWhere) == "default") {
      return text_field(entry, "template", kWhere);
    }
  }
  return {};
}

Json parse_or_empty(const std::string& text, std::string_view where) {
  return text.empty() ? Json::object() : parse_json(text, where);
}

std::string fingerprint_of(const Json& root, const TokenizerParts& parts) {
  Hasher hasher;
  hasher.add("tokenizer.json");
  for (const auto key : {"model", "normalizer", "pre_tokenizer", "post_processor"}) {
    hasher.add(part_of(root, key).dump());
  }
  for (const AddedToken& token : parts.added) {
    hasher.add(token.content).add(int64_t{token.id});
    for (const bool flag :
         {token.special, token.normalized, token.single_word, token.lstrip, token.rstrip}) {
      hasher.add(int64_t{flag});
    }
  }
  return hasher.hex();
}

}  // namespace

std::unique_ptr<const TokenizerParts> build_from_json(const HuggingFaceTexts& texts) {
  const Json root = parse_json(texts.tokenizer, "tokenizer.json");
  const Json config = parse_or_empty(texts.tokenizer_config, "tokenizer_config.json");
  const Json& model = part_of(root, "model");
  const Json* vocab = find_field(model, "vocab", kModel);
  const Json* added = find_field(root, "added_tokens", "tokenizer.json");

  auto parts = std::make_unique<TokenizerParts>();
  parts->vocabulary = std::make_unique<Vocabulary>((vocab == nullptr ? 0 : vocab->size()) +
                                                   (added == nullptr ? 0 : added->size()));
  add_vocabulary(model, *parts->vocabulary);
  auto bpe = model_of(model, *parts->vocabulary);
  read_added_tokens(root, config, *parts);
  parts->normalizer = Normalizer::parse(part_of(root, "normalizer"));
  parts->pre_tokenizer = PreTokenizer::parse(part_of(root, "pre_tokenizer"));
  parts->decoder = Decoder::parse(part_of(root, "decoder"));
  parts->encoder =
      std::make_unique<PieceEncoder>(std::move(bpe), parts->pre_tokenizer.byte_level());
  const PostProcessor post = PostProcessor::parse(part_of(root, "post_processor"));
  for (const auto* ids : {&post.prefix, &post.suffix}) {
    for (const int32_t id : *ids) {
      parts->vocabulary->text(id);  // throws for an id out of range
    }
  }
  parts->prefix = post.prefix;
  parts->suffix = post.suffix;

  read_special_ids({config, parse_or_empty(texts.special_tokens_map, "special_tokens_map.json")},
                   {parse_or_empty(texts.generation_config, "generation_config.json"),
                    parse_or_empty(texts.model_config, "config.json")},
                   *parts);
  parts->chat_template =
      texts.chat_template.empty() ? chat_template_of(config) : texts.chat_template;
  parts->fingerprint = fingerprint_of(root, *parts);
  parts->finish();
  return parts;
}

}  // namespace attune::text
