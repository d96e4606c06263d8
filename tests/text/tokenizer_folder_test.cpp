// Hugging Face folders: which file says what.
#include <gmock/gmock.h>

#include "attune/core/error.h"
#include "attune/text/tokenizer.h"

#include "tests/source_dir.h"
#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

class TokenizerFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("attune_") + test->name() + "_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    write("tokenizer.json", read_file(tests::source_dir() / "tests/golden/text_qwen_like.json"));
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
  }
  void write(const std::string& name, const std::string& text) {
    write_file(folder_ / name, text);
  }
  std::string text_of(std::optional<int32_t> id) {
    return id ? Tokenizer::load(folder_)->token_text(*id) : "none";
  }

  std::filesystem::path folder_;
};

TEST_F(TokenizerFolder, ATokenizerAloneNamesNoSpecialIds) {
  const auto tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(text_of(tokenizer->bos()), "none");
  EXPECT_EQ(text_of(tokenizer->eos()), "none");
  EXPECT_EQ(tokenizer->chat_template(), "");
  EXPECT_THAT(tokenizer->end_of_turn(), ElementsAre(*tokenizer->find("<|end|>")));
}

TEST_F(TokenizerFolder, TokensAreNamedByTextsOrObjectsOrIds) {
  write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "chat_template": "config"})");
  write("special_tokens_map.json", R"({"bos_token": "</s>", "pad_token": "<|end|>"})");
  write("generation_config.json",
        json{{"eos_token_id", {*Tokenizer::load(folder_)->find("</s>"), 5, 100'003}}}.dump());
  const auto tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(text_of(tokenizer->bos()), "<s>");  // tokenizer_config.json comes first
  EXPECT_EQ(text_of(tokenizer->eos()), "</s>");
  EXPECT_EQ(text_of(tokenizer->pad()), "<|end|>");
  EXPECT_THAT(tokenizer->end_of_turn(),
              ElementsAre(5, *tokenizer->find("</s>"), *tokenizer->find("<|end|>")));
  EXPECT_EQ(tokenizer->chat_template(), "config");
}

TEST_F(TokenizerFolder, TheTemplatesOwnFileComesFirst) {
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  write("chat_template.jinja", "file");
  EXPECT_EQ(Tokenizer::load(folder_)->chat_template(), "file");
  EXPECT_EQ(Tokenizer::load(folder_ / "tokenizer.json")->chat_template(), "file");
}

TEST_F(TokenizerFolder, OfSeveralTemplatesTheDefaultCounts) {
  write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "rag", "template": "1"}, {"name": "default", "template": "2"}]})");
  EXPECT_EQ(Tokenizer::load(folder_)->chat_template(), "2");
}

TEST_F(TokenizerFolder, TokensThatOnlyTheConfigAddsAreFound) {
  const int64_t id = Tokenizer::load(folder_)->vocab_size() + 2;
  write("tokenizer_config.json",
        json{{"added_tokens_decoder",
              {{std::to_string(id), {{"content", "<new>"}, {"special", true}}}}}}
            .dump());
  const auto tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer->vocab_size(), id + 1);
  EXPECT_THAT(tokenizer->encode("<new>"), ElementsAre(id));
}

TEST_F(TokenizerFolder, AMissingOneIsNamed) {
  std::filesystem::remove(folder_ / "tokenizer.json");
  try {
    Tokenizer::load(folder_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("tokenizer.json: no tokenizer here"));
  }
}

}  // namespace
}  // namespace attune::text
