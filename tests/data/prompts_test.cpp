#include "attune/data/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"

#include "tests/data/support.h"

namespace attune::data {
namespace {

std::string error_of(const std::string& text) {
  const testing::Folder folder;
  const std::string path = folder.write("p", text);
  try {
    read_prompts(path);
  } catch (const Error& e) {
    return std::string(e.what()).substr(path.size());
  }
  return "no error";
}

TEST(Prompts, AreTheLinesOfAPlainFile) {
  const testing::Folder folder;
  const std::string path = folder.write("p", "one\n\n  two, indented\r\n\t\nthree {\"prompt\": 3}");
  const auto rows = read_prompts(path);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].prompt.plain, "one");
  EXPECT_EQ(rows[1].prompt.plain, "  two, indented");
  EXPECT_EQ(rows[2].prompt.plain, "three {\"prompt\": 3}");
  EXPECT_EQ(rows[1].where, path + ":3");
}

TEST(Prompts, AreTheFieldOfObjects) {
  const testing::Folder folder;
  const auto rows =
      read_prompts(folder.write("p",
                                "{\"prompt\": \"one\", \"chosen\": \"1\", \"rejected\": \"2\"}\n"
                                "{\"prompt\": [{\"role\": \"system\", \"content\": \"s\"}, "
                                "{\"role\": \"user\", \"content\": \"two\\nlines\"}]}\n"
                                "{\"instruction\": \"three\", \"input\": \"four\"}\n"));
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].prompt.plain, "one");
  ASSERT_EQ(rows[1].prompt.turns.size(), 2U);
  EXPECT_EQ(rows[1].prompt.turns[1].content, "two\nlines");
  EXPECT_EQ(rows[2].prompt.plain, "three\n\nfour");
}

TEST(Prompts, ErrorsNameFileAndLine) {
  EXPECT_EQ(error_of("{\"prompt\": \"a\"}\n{\"promt\": \"b\"}\n"),
            ":2: field \"prompt\" is missing; the row has \"promt\"");
  EXPECT_EQ(error_of("{\"prompt\": 5}\n"),
            ":1: field \"prompt\" must be text or a list of turns, got a number");
  EXPECT_EQ(error_of("{\"prompt\": \"\"}\n"), ":1: the prompt is empty");
  EXPECT_THAT(error_of("{\"prompt\": \"a\"}\n\nplain\n"), ::testing::StartsWith(":3: "));
  EXPECT_EQ(error_of("a\nb\x1b[2J\n"), ":2: expected text, got the control character 0x1b");
  EXPECT_THAT(error_of("a\xff\n"), ::testing::StartsWith(":1: expected text in UTF-8, got \"a"));
  EXPECT_EQ(error_of("\n \n"), ": there is no prompt in this file");
}

}  // namespace
}  // namespace attune::data
