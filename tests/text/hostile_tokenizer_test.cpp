// Broken and lying files are errors that say what is wrong; nothing crashes or takes gigabytes.
#include <gmock/gmock.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/text/tokenizer.h"

#include "tests/source_dir.h"
#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string tiny_text() {
  return read_file(tests::source_dir() / "tests/golden/text_qwen_like.json");
}

std::string refusal(const std::string& text, const std::string& config = "") {
  try {
    Tokenizer::from_json(text, config);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// What `change` makes of a good file.
std::string refusal(const std::function<void(json&)>& change) {
  json whole = json::parse(tiny_text());
  change(whole);
  return refusal(whole.dump());
}

TEST(HostileTokenizer, ACutFileIsRefusedAtEveryLength) {
  const std::string text = tiny_text();
  for (size_t size = 0; size + 2 < text.size(); size += 37) {
    ASSERT_THAT(refusal(text.substr(0, size)), HasSubstr("no valid JSON")) << size;
  }
}

TEST(HostileTokenizer, AChangedByteIsAnErrorOrATokenizer) {
  const std::string text = tiny_text();
  RandomStream random(stream_key(23, "flip"));
  for (int i = 0; i < 400; ++i) {
    std::string broken = text;
    broken[random.below(broken.size())] = static_cast<char>(random.below(256));
    try {
      Tokenizer::from_json(broken)->encode("the dog 12 é<|end|>", {.add_special = true});
    } catch (const Error&) {
    }
  }
}

TEST(HostileTokenizer, OtherJsonIsRefused) {
  for (const auto* text : {"[]", "3", "null", "{}", R"({"model": 1})", R"({"model": {}})"}) {
    EXPECT_THAT(refusal(std::string(text)), HasSubstr("tokenizer.json")) << text;
  }
  EXPECT_THAT(refusal(std::string(100'000, '[')), HasSubstr("nested more than 64 deep"));
}

TEST(HostileTokenizer, AMergeOfUnknownTokensIsNamed) {
  EXPECT_THAT(refusal([](json& all) { all["model"]["merges"].push_back("zz qq"); }),
              HasSubstr("(\"zz\" \"qq\") needs the token \"zz\""));
  EXPECT_THAT(refusal([](json& all) { all["model"]["merges"].push_back("! !"); }),
              HasSubstr("needs the token \"!!\""));
  EXPECT_THAT(refusal([](json& all) { all["model"]["merges"].push_back("a b c"); }),
              HasSubstr("two tokens with a space between, got \"a b c\""));
  EXPECT_THAT(refusal([](json& all) { all["model"]["merges"].push_back(json::array({"a"})); }),
              HasSubstr("must be a string or a pair"));
}

TEST(HostileTokenizer, IdsOutOfRangeAreNamed) {
  for (const json& id : {json(-1),
                         json(2147483648),
                         json(2000000000),
                         json(1e30),
                         json("7"),
                         json(18446744073709551615ULL)}) {
    EXPECT_THAT(refusal([&](json& all) { all["model"]["vocab"]["!"] = id; }), HasSubstr("\"!\""))
        << id;
    EXPECT_NE(refusal([&](json& all) { all["added_tokens"][0]["id"] = id; }), "no error") << id;
  }
  EXPECT_THAT(refusal([](json& all) {
                all["post_processor"]["processors"][1]["special_tokens"]["<s>"]["ids"][0] = 100'003;
              }),
              HasSubstr("token id 100003 is not in the vocabulary"));
}

TEST(HostileTokenizer, DuplicateIdsAreNamed) {
  EXPECT_THAT(refusal([](json& all) { all["model"]["vocab"]["a"] = all["model"]["vocab"]["b"]; }),
              HasSubstr("belongs to two tokens"));
  EXPECT_THAT(refusal([](json& all) { all["added_tokens"][0]["id"] = 3; }), HasSubstr("two ids"));
}

TEST(HostileTokenizer, AnEmptyVocabularyIsRefused) {
  EXPECT_THAT(refusal([](json& all) { all["model"]["vocab"] = json::object(); }),
              HasSubstr("the vocabulary is empty"));
}

TEST(HostileTokenizer, WhatAttuneDoesNotHaveIsNamedNeverIgnored) {
  const auto with = [](const char* key, const json& component) {
    return refusal([&](json& all) { all[key] = component; });
  };
  EXPECT_THAT(with("normalizer", {{"type", "Precompiled"}}), HasSubstr("normalizer: attune does"));
  EXPECT_THAT(with("pre_tokenizer", {{"type", "UnicodeScripts"}}), HasSubstr("UnicodeScripts"));
  EXPECT_THAT(with("decoder", {{"type", "WordPiece"}}), HasSubstr("WordPiece"));
  EXPECT_THAT(with("post_processor", {{"type", "Other"}}), HasSubstr("Other"));
  EXPECT_THAT(refusal([](json& all) { all["model"]["type"] = "Unigram"; }), HasSubstr("Unigram"));
  EXPECT_THAT(refusal([](json& all) { all["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(with("pre_tokenizer",
                   {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}}),
              HasSubstr("regular expression (a"));
  EXPECT_THAT(with("pre_tokenizer",
                   {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Odd"}}),
              HasSubstr("Odd"));
}

TEST(HostileTokenizer, FieldsOfTheWrongTypeAreNamed) {
  EXPECT_THAT(refusal([](json& all) { all["model"]["merges"] = 5; }),
              HasSubstr("\"merges\" must be an array, got number"));
  EXPECT_THAT(refusal([](json& all) { all["added_tokens"] = "x"; }), HasSubstr("must be an array"));
  EXPECT_THAT(refusal([](json& all) { all["added_tokens"][0]["special"] = 1; }),
              HasSubstr("\"special\" must be true or false"));
  EXPECT_THAT(refusal(tiny_text(), R"({"chat_template": 5})"), HasSubstr("chat_template"));
  EXPECT_THAT(refusal(tiny_text(), R"({"added_tokens_decoder": {"x": {}}})"), HasSubstr("no id"));
}

TEST(HostileTokenizer, NestedAndBacktrackingPatternsEndInAnError) {
  const std::string pattern = "(a+)+c";
  json all = json::parse(tiny_text());
  all["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
  const auto tokenizer = Tokenizer::from_json(all.dump());
  EXPECT_THROW(tokenizer->encode(std::string(5000, 'a') + "bc"), Error);
}

}  // namespace
}  // namespace attune::text
