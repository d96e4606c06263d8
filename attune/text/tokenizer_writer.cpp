#include "attune/text/tokenizer_writer.h"

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/text/gguf_vocabulary.h"

namespace attune::text {
namespace {

using Json = nlohmann::ordered_json;

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json pre_tokenizer_of(const GgufSplit& split) {
  Json steps = Json::array();
  for (const std::string& pattern : split.patterns) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(byte_level(/*use_regex=*/false));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

Json added_token(const AddedToken& token) {
  return {{"content", token.content},
          {"single_word", token.single_word},
          {"lstrip", token.lstrip},
          {"rstrip", token.rstrip},
          {"normalized", token.normalized},
          {"special", token.special}};
}

// What stands around every text, or null.
Json post_processor_of(const TokenizerParts& parts) {
  if (parts.prefix.empty() && parts.suffix.empty()) {
    return nullptr;
  }
  Json tokens = Json::object();
  const auto name = [&](int32_t id) {
    const std::string& text = parts.vocabulary->text(id);
    tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    return text;
  };
  const auto around = [&](std::initializer_list<const char*> sequences) {
    Json list = Json::array();
    int64_t type = 0;
    for (const char* sequence : sequences) {
      const auto add = [&](const std::vector<int32_t>& ids) {
        for (const int32_t id : ids) {
          list.push_back({{"SpecialToken", {{"id", name(id)}, {"type_id", type}}}});
        }
      };
      add(parts.prefix);
      list.push_back({{"Sequence", {{"id", sequence}, {"type_id", type}}}});
      add(parts.suffix);
      ++type;
    }
    return list;
  };
  Json out{{"type", "TemplateProcessing"}, {"single", around({"A"})}, {"pair", around({"A", "B"})}};
  out["special_tokens"] = tokens;
  return out;
}

Json tokenizer_json(const io::GgufFile& file, const TokenizerParts& parts) {
  const GgufSplit split = gguf_split(file, /*pre=*/"");
  Json added = Json::array();
  for (const AddedToken& token : parts.added) {
    Json entry{{"id", token.id}};
    entry.update(added_token(token));
    added.push_back(entry);
  }
  // Token by token in the order of their ids, as a person would look for them.
  Json vocab = Json::object();
  for (int64_t id = 0; id < parts.vocabulary->size(); ++id) {
    if (parts.vocabulary->has(id)) {
      vocab.emplace(parts.vocabulary->text(id), id);
    }
  }
  Json merges = Json::array();
  for (const auto& [left, right] : gguf_merges(file)) {
    merges.push_back({left, right});
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", split.nfc ? Json{{"type", "NFC"}} : Json(nullptr)},
          {"pre_tokenizer", pre_tokenizer_of(split)},
          {"post_processor", post_processor_of(parts)},
          {"decoder", byte_level(/*use_regex=*/true)},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", split.ignore_merges},
            {"vocab", vocab},
            {"merges", merges}}}};
}

Json tokenizer_config(const TokenizerParts& parts) {
  Json decoder = Json::object();
  for (const AddedToken& token : parts.added) {
    decoder[std::to_string(token.id)] = added_token(token);
  }
  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
              {"added_tokens_decoder", decoder},
              {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, std::optional<int32_t> id) {
    if (id) {
      config[key] = parts.vocabulary->text(*id);
    }
  };
  name("bos_token", parts.bos);
  name("eos_token", parts.eos);
  name("pad_token", parts.pad ? parts.pad : parts.eos);  // transformers pads batches
  if (!parts.chat_template.empty()) {
    config["chat_template"] = parts.chat_template;
  }
  return config;
}

Json generation_config(const TokenizerParts& parts) {
  Json config = Json::object();
  const auto name = [&](const char* key, std::optional<int32_t> id) {
    if (id) {
      config[key] = *id;
    }
  };
  name("bos_token_id", parts.bos);
  if (!parts.end_of_turn.empty()) {
    config["eos_token_id"] = parts.end_of_turn;
  }
  name("pad_token_id", parts.pad ? parts.pad : parts.eos);
  return config;
}

}  // namespace

TokenizerFiles to_huggingface(const io::GgufFile& file) {
  const std::string& model = file.get_string("tokenizer.ggml.model");
  check(model == "gpt2",
        "{}: its vocabulary is of the kind \"{}\"; attune writes tokenizer.json for byte-level "
        "ones (gpt2) only. Use the model's Hugging Face folder instead",
        file.path().string(),
        model);
  const std::unique_ptr<const TokenizerParts> parts = build_from_gguf(file, /*pre=*/"");
  return {.tokenizer = tokenizer_json(file, *parts).dump(1) + "\n",
          .tokenizer_config = tokenizer_config(*parts).dump(2) + "\n",
          .generation_config = generation_config(*parts).dump(2) + "\n"};
}

void write_tokenizer(const TokenizerFiles& files, const std::filesystem::path& folder) {
  write_file(folder / "tokenizer.json", files.tokenizer);
  write_file(folder / "tokenizer_config.json", files.tokenizer_config);
  write_file(folder / "generation_config.json", files.generation_config);
}

}  // namespace attune::text
