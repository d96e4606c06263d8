#include "attune/data/implicit_prompt.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "attune/core/random.h"
#include "attune/text/unicode.h"

namespace attune::data {
namespace {

std::string prompt_of(const std::string& a, const std::string& b) {
  const std::vector<std::string_view> sides{a, b};
  return a.substr(0, implicit_prompt_bytes(sides));
}

TEST(ImplicitPrompt, NoWordIsCut) {
  EXPECT_EQ(prompt_of("The cat sat", "The car ran"), "The");
  EXPECT_EQ(prompt_of("The cat sat", "The cat ran"), "The cat");
  EXPECT_EQ(prompt_of("Cats", "Cars"), "");
}

TEST(ImplicitPrompt, TheSpaceBelongsToTheCompletion) {
  EXPECT_EQ(prompt_of("Name one:\n\n  oak", "Name one:\n\n  elm"), "Name one:");
}

TEST(ImplicitPrompt, ASideThatBeginsTheOtherKeepsSomething) {
  EXPECT_EQ(prompt_of("Yes", "Yes, sure"), "");
  EXPECT_EQ(prompt_of("Say: yes", "Say: yes please"), "Say:");
  EXPECT_EQ(prompt_of("", "Yes"), "");
}

TEST(ImplicitPrompt, ADialogueIsCutBehindTheAssistantsName) {
  const std::string shared = "\n\nHuman: Hi there\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant:";
  EXPECT_EQ(prompt_of(shared + " I do not know", shared + " I do know"), shared);
}

TEST(ImplicitPrompt, IdeographsAreBreaksAndAreNeverCut) {
  // U+597D and U+5979 share their first two bytes.
  EXPECT_EQ(prompt_of("你好", "你她"), "你");
  EXPECT_EQ(prompt_of("去年very", "去年vast"), "去年");
}

TEST(ImplicitPrompt, EveryCutIsBetweenCharactersAndLeavesBothSides) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    RandomStream random(seed);
    const std::vector<std::string> alphabet{"a", "b", " ", "\n", "é", "你", "\U0001F600"};
    const auto text = [&](uint64_t most) {
      std::string out;
      for (uint64_t n = random.below(most); n > 0; --n) {
        out += alphabet[random.below(alphabet.size())];
      }
      return out;
    };
    const std::string shared = text(20);
    const std::string a = shared + text(5) + "x";
    const std::string b = shared + text(5) + "y";
    const size_t cut = prompt_of(a, b).size();
    EXPECT_EQ(a.substr(0, cut), b.substr(0, cut)) << "seed " << seed;
    EXPECT_LT(cut, a.size()) << "seed " << seed;
    EXPECT_LT(cut, b.size()) << "seed " << seed;
    EXPECT_TRUE(text::is_utf8(a.substr(0, cut))) << "seed " << seed;
    EXPECT_TRUE(text::is_utf8(b.substr(cut))) << "seed " << seed;
  }
}

TEST(ImplicitPrompt, TurnsAreComparedWhole) {
  const Text a{true, "", {{"user", "q"}, {"assistant", "Sure."}}};
  const Text b{true, "", {{"user", "q"}, {"assistant", "Sure, yes."}}};
  EXPECT_EQ(implicit_prompt_turns(std::vector<Text>{a, b}), 1U);
  EXPECT_EQ(implicit_prompt_turns(std::vector<Text>{a, a}), 1U);
}

}  // namespace
}  // namespace attune::data
