// Tiny tokenizers against the ids of Hugging Face's `tokenizers` (tests/golden/text_tokenizers.py).
#include <gtest/gtest.h>

#include "attune/text/stream_decoder.h"
#include "attune/text/tokenizer.h"

#include "tests/source_dir.h"
#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using nlohmann::json;
using testing::golden;

// Compares every row of one tokenizer: ids with and without special tokens, text, streamed text.
void expect_rows(const Tokenizer& tokenizer, const json& rows) {
  for (const json& row : rows) {
    const std::string text = row.at("text");
    SCOPED_TRACE(row.at("text").dump());
    const auto ids = row.at("ids").get<std::vector<int32_t>>();
    const auto or_ids = [&](const char* key) {
      return row.contains(key) ? row.at(key).get<std::vector<int32_t>>() : ids;
    };
    EXPECT_EQ(tokenizer.encode(text), ids);
    EXPECT_EQ(tokenizer.encode(text, {.add_special = true}), or_ids("special_ids"));
    EXPECT_EQ(tokenizer.encode(text, {.parse_special = false}), or_ids("plain_ids"));
    const std::string decoded =
        row.at("decoded").is_null() ? text : row.at("decoded").get<std::string>();
    EXPECT_EQ(tokenizer.decode(ids), decoded);
    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const int32_t id : ids) {
      streamed += stream.push(id);
    }
    EXPECT_EQ(streamed + stream.finish(), decoded);
  }
  EXPECT_EQ(rows.size(), 35U);
}

TEST(TokenizerGolden, HardTextsGiveTheIdsAndTextsOfHuggingFace) {
  const json all = golden("text_tokenizers.json");
  EXPECT_EQ(all.at("cases").size(), 3U);
  for (const json& one : all.at("cases")) {
    const std::string file = one.at("tokenizer");
    SCOPED_TRACE(file);
    const auto folder = tests::source_dir() / "tests/golden";
    expect_rows(*Tokenizer::load(folder / file), one.at("rows"));
  }
}

TEST(TokenizerGolden, RealVocabulariesGiveTheIdsOfHuggingFace) {
  ATTUNE_NEEDS(testing::data_folder() / "tokenizers");
  const json all = golden("text_real.json");
  for (const json& one : all.at("cases")) {
    const std::string file = one.at("tokenizer");
    SCOPED_TRACE(file);
    if (file != "smollm2") {
      expect_rows(*Tokenizer::from_json(testing::read_text(testing::data_folder() / file)),
                  one.at("rows"));
    } else if (!testing::smollm2_file().empty()) {
      // transformers does not read the file's `pre`.
      expect_rows(*Tokenizer::load(testing::smollm2_file(), {.gguf_pre = "gpt-2"}), one.at("rows"));
    }
  }
}

TEST(TokenizerGolden, EveryComponentDoesWhatHuggingFacesDoes) {
  const json all = golden("text_parts.json");
  for (const json& component : all.at("components")) {
    SCOPED_TRACE(component.at("name").get<std::string>());
    json whole = component.at("tokenizer");
    whole["model"] = all.at("model");
    whole["model"].update(component.at("flags"));
    const auto tokenizer = Tokenizer::from_json(whole.dump());
    for (const json& row : component.at("rows")) {
      EXPECT_EQ(tokenizer->encode(row.at("text").get<std::string>()),
                row.at("ids").get<std::vector<int32_t>>())
          << row.at("text");
    }
  }
}

}  // namespace
}  // namespace attune::text
