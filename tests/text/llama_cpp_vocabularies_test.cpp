// The 46 texts that llama.cpp publishes with each of its vocabularies, and the ids it gives.
#include <sstream>

#include <gmock/gmock.h>

#include "attune/core/error.h"
#include "attune/text/tokenizer.h"

#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using testing::data_folder;
using testing::read_gguf;
using testing::read_text;

struct Case {
  std::string text;
  std::vector<int32_t> ids;
};

std::vector<Case> cases_of(const std::filesystem::path& stem) {
  std::vector<Case> cases;
  const std::string mark = "\n__ggml_vocab_test__\n";
  const std::string texts = read_text(stem.string() + ".inp");
  std::istringstream ids(read_text(stem.string() + ".out"));
  for (size_t begin = 0; begin < texts.size();) {
    const size_t end = texts.find(mark, begin);
    Case one;
    one.text = texts.substr(begin, end == std::string::npos ? end : end - begin);
    std::string line;
    std::getline(ids, line);
    std::istringstream numbers(line);
    for (int32_t id = 0; numbers >> id;) {
      one.ids.push_back(id);
    }
    cases.push_back(one);
    begin = end == std::string::npos ? texts.size() : end + mark.size();
  }
  return cases;
}

void expect_all(const Tokenizer& tokenizer, const std::vector<Case>& cases) {
  ASSERT_EQ(cases.size(), 46U);
  for (const Case& one : cases) {
    EXPECT_EQ(tokenizer.encode(one.text, {.parse_special = false}), one.ids) << one.text;
  }
}

TEST(LlamaCppVocabularies, Gpt2GivesTheIdsThatLlamaCppGives) {
  const auto stem = data_folder() / "tokenizers/llama-cpp-vocabs/ggml-vocab-gpt-2.gguf";
  const std::filesystem::path packed = stem.string() + ".gz";
  ATTUNE_NEEDS(packed);
  expect_all(*Tokenizer::from_gguf(read_gguf(packed)), cases_of(stem));
}

TEST(LlamaCppVocabularies, LlamaSentencePieceGivesTheIdsThatLlamaCppGives) {
  const auto stem = data_folder() / "tokenizers/llama-cpp-vocabs/ggml-vocab-llama-spm.gguf";
  const std::filesystem::path packed = stem.string() + ".gz";
  ATTUNE_NEEDS(packed);
  expect_all(*Tokenizer::from_gguf(read_gguf(packed)), cases_of(stem));
}

TEST(LlamaCppVocabularies, Gpt2sTokenizerJsonGivesTheSameIds) {
  const auto stem = data_folder() / "tokenizers/llama-cpp-vocabs/ggml-vocab-gpt-2.gguf";
  const auto packed = data_folder() / "tokenizers/gpt2/tokenizer.json.gz";
  ATTUNE_NEEDS(packed);
  expect_all(*Tokenizer::from_json(read_text(packed)), cases_of(stem));
}

TEST(LlamaCppVocabularies, ABertVocabularyIsRefusedByName) {
  const auto packed = data_folder() / "tokenizers/llama-cpp-vocabs/ggml-vocab-bert-bge.gguf.gz";
  ATTUNE_NEEDS(packed);
  try {
    Tokenizer::from_gguf(read_gguf(packed));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("attune has gpt2 and llama, got \"bert\""));
  }
}

}  // namespace
}  // namespace attune::text
