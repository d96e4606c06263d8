#include "attune/text/unicode.h"

#include <gtest/gtest.h>

#include "attune/core/error.h"
#include "attune/text/byte_alphabet.h"
#include "attune/text/regex.h"

namespace attune::text {
namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  std::vector<Range> ranges;
  Regex(pattern).find_all(text, ranges);
  std::vector<std::string> found;
  for (const Range& range : ranges) {
    found.emplace_back(text.substr(range.begin, range.end - range.begin));
  }
  return found;
}

TEST(Unicode, EveryCodePointIsWrittenAndReadBack) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    std::string text;
    append_utf8(text, code);
    const Character character = character_at(text, 0);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    ASSERT_EQ(character.valid, !surrogate) << static_cast<uint32_t>(code);
    if (!surrogate) {
      ASSERT_EQ(static_cast<uint32_t>(character.code), static_cast<uint32_t>(code));
      ASSERT_EQ(character.size, text.size());
      ASSERT_EQ(character_size(text[0]), text.size());
      ASSERT_EQ(previous_character(text, text.size()), 0U);
    }
  }
}

TEST(Unicode, OnlyAHalfCharacterAtTheEndIsUnsettled) {
  EXPECT_EQ(settled_prefix("abc"), 3U);
  EXPECT_EQ(settled_prefix("ab\xc3"), 2U);
  EXPECT_EQ(settled_prefix("ab\xe4\xbd"), 2U);
  EXPECT_EQ(settled_prefix("\xf0\x9f\x98"), 0U);
  EXPECT_EQ(settled_prefix("\xf0\x9f\x98\x80"), 4U);
  EXPECT_EQ(settled_prefix("ab\xff"), 3U);      // never part of a character
  EXPECT_EQ(settled_prefix("ab\xf0\x80"), 4U);  // overlong: cannot become one
  EXPECT_EQ(settled_prefix(""), 0U);
}

TEST(Unicode, NormalFormsAreUnicodes) {
  EXPECT_EQ(normalised("e\u0301", NormalForm::kNfc), "\u00e9");
  EXPECT_EQ(normalised("\u00e9", NormalForm::kNfd), "e\u0301");
  EXPECT_EQ(normalised("\ufb01\u2460", NormalForm::kNfkc), "fi1");
  EXPECT_EQ(normalised("\u1e69", NormalForm::kNfkd), "s\u0323\u0307");
  EXPECT_EQ(normalised(std::string_view("\0\u212b", 4), NormalForm::kNfc),
            std::string_view("\0\u00c5", 3));
}

TEST(Unicode, LowerCaseOfOneCharacterMayBeTwo) {
  EXPECT_EQ(lower_case("\u00c4B\u0130\u03a3"), "\u00e4bi\u0307\u03c3");
}

TEST(Unicode, PythonStripsControlSeparatorsToo) {
  EXPECT_EQ(python_strip("\u3000\x1c a b\u00a0\x1f\n"), "a b");
  EXPECT_EQ(python_strip("\u200b a"), "\u200b a");  // no white space to Python
  EXPECT_EQ(python_strip(" \n "), "");
}

TEST(Regex, WhiteSpaceIsUnicodesAndNotPerls) {
  // U+180E is white space to PCRE2's \s, but no longer to Unicode.
  EXPECT_EQ(matches(R"(\s+)", "a\u00a0\u2003b\u180ec\x0b"),
            (std::vector<std::string>{"\u00a0\u2003", "\x0b"}));
  EXPECT_EQ(matches(R"([^\s]+)", "a\u180e b"), (std::vector<std::string>{"a\u180e", "b"}));
  EXPECT_EQ(matches(R"(\s+(?!\S))", "a   b "), (std::vector<std::string>{"  ", " "}));
}

TEST(Regex, AWordHasMarksAndConnectors) {
  EXPECT_EQ(matches(R"(\w+)", "e\u0301_\u203f7-\u00bd"),
            (std::vector<std::string>{"e\u0301_\u203f7"}));
}

TEST(Regex, EmptyMatchesAreLeftOut) {
  EXPECT_EQ(matches("a*", "b\u00e9aab"), (std::vector<std::string>{"aa"}));
}

TEST(Regex, WhatItDoesNotTranslateIsRefused) {
  EXPECT_THROW(Regex("[a-z&&[^b]]"), Error);
  EXPECT_THROW(Regex(R"([\W])"), Error);
  EXPECT_THROW(Regex("("), Error);
}

TEST(ByteAlphabet, All256BytesComeBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    bytes.push_back(static_cast<char>(byte));
  }
  const std::string spelt = bytes_to_alphabet(bytes);
  EXPECT_EQ(alphabet_to_bytes(spelt), bytes);
  EXPECT_EQ(bytes_to_alphabet(" \n\xad~"), "\u0120\u010a\u0143~");
  EXPECT_EQ(alphabet_to_bytes("a b"), std::nullopt);  // a space is no letter of it
}

}  // namespace
}  // namespace attune::text
