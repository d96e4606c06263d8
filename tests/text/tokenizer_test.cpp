#include "attune/text/tokenizer.h"

#include <thread>

#include <gmock/gmock.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/text/stream_decoder.h"
#include "attune/text/unicode.h"

#include "tests/source_dir.h"
#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using nlohmann::json;

std::filesystem::path tiny(const std::string& name) {
  return tests::source_dir() / "tests/golden" / ("text_" + name + ".json");
}

// A text of `count` characters from everywhere: all planes, marks, emoji, controls, plain words.
std::string random_text(RandomStream& random, size_t count) {
  std::string text;
  while (count-- > 0) {
    char32_t code = 0;
    switch (random.below(8)) {
      case 0:
        code = static_cast<char32_t>(random.below(0x110000));
        break;
      case 1:
        code = static_cast<char32_t>(random.below(0x20));
        break;
      case 2:
        code = static_cast<char32_t>(0x300 + random.below(0x70));
        break;
      case 3:
        code = static_cast<char32_t>(0x1f300 + random.below(0x400));
        break;
      case 4:
        code = static_cast<char32_t>(random.below(0x3000));
        break;
      case 5:
        text += " the 12's";
        continue;
      default:
        code = static_cast<char32_t>(0x20 + random.below(0x5f));
    }
    if (code < 0xd800 || code > 0xdfff) {
      append_utf8(text, code);
    }
  }
  return text;
}

TEST(Tokenizer, EveryTextComesBackThroughAByteLevelVocabulary) {
  const auto tokenizer = Tokenizer::load(tiny("byte_level"));
  RandomStream random(stream_key(11, "round trip"));
  for (int i = 0; i < 500; ++i) {
    const std::string text = random_text(random, random.below(97));
    const auto ids = tokenizer->encode(text, {.parse_special = false});
    ASSERT_EQ(tokenizer->decode(ids), text) << "seed 11, text " << i;
  }
}

TEST(Tokenizer, EveryComposedTextComesBackThroughByteFallback) {
  const auto tokenizer = Tokenizer::load(tiny("sentencepiece"));
  RandomStream random(stream_key(13, "round trip"));
  for (int i = 0; i < 500; ++i) {
    // A "▁" of the text's own would come back as a space.
    const std::string text = random_text(random, random.below(97));
    if (text.find("\xe2\x96\x81") == std::string::npos) {
      const auto ids = tokenizer->encode(text, {.parse_special = false});
      ASSERT_EQ(tokenizer->decode(ids), text) << "seed 13, text " << i;
    }
  }
}

TEST(Tokenizer, InvalidUtf8IsReadAsPythonReplacesIt) {
  const auto tokenizer = Tokenizer::load(tiny("byte_level"));
  // bytes.decode("utf-8", "replace") in Python gives these.
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xff"
       "b",
       "a\ufffd"
       "b"},
      {"\xe4\xbd", "\ufffd"},  // cut: one maximal part
      {"\xe4\xbd"
       "A",
       "\ufffd"
       "A"},
      {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},            // a surrogate: three
      {"\xc0\x80", "\ufffd\ufffd"},                      // overlong
      {"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},  // above U+10FFFF
      {"\xf0\x9f\x98", "\ufffd"},
      {"\x80\x80", "\ufffd\ufffd"}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(tokenizer->encode(bytes), tokenizer->encode(text)) << text;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(bytes)), text);
  }
}

TEST(Tokenizer, ArbitraryBytesNeverBreakAnything) {
  RandomStream random(stream_key(17, "bytes"));
  for (const auto* name : {"byte_level", "qwen_like", "sentencepiece"}) {
    const auto tokenizer = Tokenizer::load(tiny(name));
    for (int i = 0; i < 300; ++i) {
      std::string bytes(random.below(61), '\0');
      for (char& byte : bytes) {
        byte = static_cast<char>(random.below(256));
      }
      for (const int32_t id : tokenizer->encode(bytes)) {
        ASSERT_LT(id, tokenizer->vocab_size());
      }
    }
  }
}

TEST(Tokenizer, TenMillionEqualLettersTakeSecondsNotHours) {
  const std::string line(10'000'000, 'a');
  const auto byte_level = Tokenizer::load(tiny("byte_level"));
  EXPECT_EQ(byte_level->decode(byte_level->encode(line)), line);
  const auto sentencepiece = Tokenizer::load(tiny("sentencepiece"));
  EXPECT_EQ(sentencepiece->decode(sentencepiece->encode(line)), line);
}

TEST(Tokenizer, TwoMillionSpacesTakeSecondsNotHours) {
  const std::string line(2'000'000, ' ');
  const auto tokenizer = Tokenizer::load(tiny("qwen_like"));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(line)), line);
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  const auto tokenizer = Tokenizer::load(tiny("byte_level"));
  RandomStream random(stream_key(19, "threads"));
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> expected;
  for (int i = 0; i < 50; ++i) {
    texts.push_back(random_text(random, 53));
    expected.push_back(Tokenizer::load(tiny("byte_level"))->encode(texts.back()));
  }
  std::vector<std::thread> threads;
  std::vector<int> wrong(5, 0);
  for (int& mistakes : wrong) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < 1000; ++i) {
        mistakes += tokenizer->encode(texts[i % 50]) != expected[i % 50] ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_THAT(wrong, ::testing::Each(0));
}

TEST(Tokenizer, DecodeLeavesSpecialTokensOutWhenAsked) {
  const auto tokenizer = Tokenizer::load(tiny("qwen_like"));
  const auto ids = tokenizer->encode("the fox<|end|>", {.add_special = true});
  EXPECT_EQ(tokenizer->decode(ids), "<s>the fox<|end|></s>");
  EXPECT_EQ(tokenizer->decode(ids, /*skip_special=*/true), "the fox");
  EXPECT_TRUE(tokenizer->is_special(ids.front()));
  EXPECT_FALSE(tokenizer->is_special(ids[1]));
  EXPECT_FALSE(tokenizer->is_special(-7));
}

TEST(Tokenizer, AnUnknownIdIsRefused) {
  const auto tokenizer = Tokenizer::load(tiny("qwen_like"));
  for (const int32_t id : {-1, 100'003}) {
    EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{id}), Error);
    EXPECT_THROW(tokenizer->token_text(id), Error);
    EXPECT_THROW(StreamDecoder(*tokenizer).push(id), Error);
  }
}

TEST(Tokenizer, TheFingerprintFollowsWhatChangesIds) {
  const std::string text = read_file(tiny("qwen_like"));
  const std::string same = Tokenizer::from_json(text)->fingerprint();
  EXPECT_EQ(Tokenizer::load(tiny("qwen_like"))->fingerprint(), same);
  // A decoder and a chat template change no ids.
  json decoder = json::parse(text);
  decoder["decoder"] = {{"type", "Fuse"}};
  EXPECT_EQ(Tokenizer::from_json(decoder.dump(), R"({"chat_template": "x"})")->fingerprint(), same);
  for (const auto* key : {"normalizer", "post_processor", "pre_tokenizer"}) {
    json other = json::parse(text);
    other[key] = nullptr;
    EXPECT_NE(Tokenizer::from_json(other.dump())->fingerprint(), same) << key;
  }
  json merges = json::parse(text);
  merges["model"]["merges"].erase(merges["model"]["merges"].size() - 1);
  EXPECT_NE(Tokenizer::from_json(merges.dump())->fingerprint(), same);
  json added = json::parse(text);
  added["added_tokens"].back()["rstrip"] = true;
  EXPECT_NE(Tokenizer::from_json(added.dump())->fingerprint(), same);
}

TEST(StreamDecoder, HoldsBackHalfACharacter) {
  const auto tokenizer = Tokenizer::load(tiny("sentencepiece"));
  const auto id = [&](const char* token) { return *tokenizer->find(token); };
  StreamDecoder stream(*tokenizer);
  EXPECT_EQ(stream.push(id("<0xF0>")), "");
  EXPECT_EQ(stream.push(id("<0x9F>")), "");
  EXPECT_EQ(stream.push(id("<0xA4>")), "");
  EXPECT_EQ(stream.push(id("<0x97>")), "🤗");
  EXPECT_EQ(stream.push(id("<0xE4>")), "");
  EXPECT_EQ(stream.push(id("<0x41>")),
            "\ufffd"
            "A");  // the half one never becomes whole
  EXPECT_EQ(stream.push(id("<0xE4>")), "");
  EXPECT_EQ(stream.finish(), "\ufffd");
  EXPECT_EQ(stream.finish(), "");
}

TEST(StreamDecoder, LeavesSpecialTokensOutWhenAsked) {
  const auto tokenizer = Tokenizer::load(tiny("sentencepiece"));
  StreamDecoder stream(*tokenizer, /*skip_special=*/true);
  std::string text;
  for (const int32_t id : tokenizer->encode("the dog", {.add_special = true})) {
    text += stream.push(id);
  }
  EXPECT_EQ(text, "the dog");  // <s> is no first token that would keep the space
}

}  // namespace
}  // namespace attune::text
