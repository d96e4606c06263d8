#include "attune/data/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include "tests/data/support.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using testing::Folder;
using testing::message_of;
using testing::read_all;
using testing::read_one;

std::string gzipped(std::string_view text) {
  const Folder folder;
  gzFile file = ::gzopen(folder.at("x.gz").c_str(), "wb");
  ::gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  ::gzclose(file);
  return read_file(folder.at("x.gz"));
}

std::vector<std::pair<int, int>> pairs_of(const PreferenceGroup& group) {
  std::vector<std::pair<int, int>> pairs;
  for (const Comparison& one : group.comparisons) {
    pairs.emplace_back(one.winner, one.loser);
  }
  return pairs;
}

TEST(Reader, AnExplicitPairOfTexts) {
  const auto group =
      read_one(R"({"prompt": "Why?", "chosen": " So.", "rejected": " No.", "p": 0.75, "weight": 2,)"
               R"( "annotator": 7, "task": "style", "score_chosen": 5, "extra": [1, {}]})");
  EXPECT_FALSE(group.conversational);
  EXPECT_EQ(group.prompt, "Why?");
  EXPECT_EQ(group.completions[0].text, " So.");
  EXPECT_EQ(group.completions[1].text, " No.");
  EXPECT_EQ(group.completions[0].score, 5.0);
  EXPECT_THAT(group.comparisons, ElementsAre(FieldsAre(0, 1, 0.75, 2.0, "7")));
  EXPECT_EQ(group.tags.at("task"), "style");
}

TEST(Reader, AnImplicitPairOfTexts) {
  const auto group = read_one(R"({"chosen": "The sky is blue", "rejected": "The sky is green"})");
  EXPECT_EQ(group.prompt, "The sky is");
  EXPECT_EQ(group.completions[0].text, " blue");
  EXPECT_EQ(group.completions[1].text, " green");
}

TEST(Reader, AnExplicitPairOfTurns) {
  const auto group = read_one(R"({"prompt": [{"role": "user", "content": "Hi"}],)"
                              R"( "chosen": [{"role": "assistant", "content": "Hello"}],)"
                              R"( "rejected": [{"role": "assistant", "content": "What"}]})");
  EXPECT_TRUE(group.conversational);
  EXPECT_THAT(group.messages, ElementsAre(FieldsAre("user", "Hi")));
  EXPECT_THAT(group.completions[1].messages, ElementsAre(FieldsAre("assistant", "What")));
}

TEST(Reader, AnImplicitPairOfTurnsSharesItsFirstTurns) {
  const auto group = read_one(
      R"({"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "A"}],)"
      R"( "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "B"}]})");
  EXPECT_THAT(group.messages, ElementsAre(FieldsAre("user", "Hi")));
  EXPECT_THAT(group.completions[0].messages, ElementsAre(FieldsAre("assistant", "A")));
}

TEST(Reader, WholeConversationsBesideTheirPromptLoseIt) {
  const std::string sides =
      R"("chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "A"}],)"
      R"("rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "B"}]})";
  for (const std::string prompt : {R"("Hi")", R"([{"role": "user", "content": "Hi"}])"}) {
    const auto group = read_one(R"({"prompt": )" + prompt + ", " + sides);
    EXPECT_THAT(group.messages, ElementsAre(FieldsAre("user", "Hi"))) << prompt;
    EXPECT_THAT(group.completions[1].messages, ElementsAre(FieldsAre("assistant", "B"))) << prompt;
  }
}

TEST(Reader, ShareGptTurnsAndASystemColumn) {
  const auto group = read_one(
      R"({"system": "Be kind.", "conversations": [{"from": "human", "value": "Hi"}],)"
      R"( "chosen": {"from": "gpt", "value": "Hello"}, "rejected": {"from": "gpt", "value": "No"}})");
  EXPECT_THAT(group.messages,
              ElementsAre(FieldsAre("system", "Be kind."), FieldsAre("user", "Hi")));
  EXPECT_THAT(group.completions[0].messages, ElementsAre(FieldsAre("assistant", "Hello")));
}

TEST(Reader, PartsOfATurnAreJoined) {
  const auto group =
      read_one(R"({"prompt": [{"role": "user", "content": [{"type": "text", "text": "Hi "},)"
               R"( {"type": "text", "value": "you"}]}], "chosen": "A", "rejected": "B"})");
  EXPECT_THAT(group.messages, ElementsAre(FieldsAre("user", "Hi you")));
}

TEST(Reader, ScoresCompareEveryPairThatDiffers) {
  const auto group = read_one(
      R"({"prompt": "Q", "completions": ["a", "b", "c"], "scores": [2, 5, 2.0], "weight": 3})");
  EXPECT_THAT(pairs_of(group), ElementsAre(std::pair(1, 0), std::pair(1, 2)));
  EXPECT_EQ(group.completions[1].score, 5.0);
  EXPECT_EQ(group.comparisons[1].weight, 3.0);
}

TEST(Reader, ARankingIsBestFirst) {
  const auto group =
      read_one(R"({"prompt": "Q", "completions": ["a", "b", "c"], "ranking": [2, 0, 1]})");
  EXPECT_THAT(pairs_of(group), ElementsAre(std::pair(2, 0), std::pair(2, 1), std::pair(0, 1)));
}

TEST(Reader, IndexPairsWithOneProbabilityOrOneForEach) {
  const std::string row = R"({"prompt": "Q", "completions": ["a", "b", "c"], "yw_idxs": [0, 2],)"
                          R"( "yl_idxs": [1, 1], "annotator": ["ann", "bob"], "preference_prob": )";
  const auto each = read_one(row + "[0.9, 0.6]}");
  EXPECT_THAT(each.comparisons,
              ElementsAre(FieldsAre(0, 1, 0.9, 1.0, "ann"), FieldsAre(2, 1, 0.6, 1.0, "bob")));
  const auto one = read_one(row + "0.7}");
  EXPECT_EQ(one.comparisons[0].probability, 0.7);
  EXPECT_EQ(one.comparisons[1].probability, 0.7);
}

TEST(Reader, UnpairedRowsKeepTheirLabel) {
  const auto plain = read_one(R"({"prompt": "Q", "completion": "A", "label": false})");
  EXPECT_EQ(plain.completions[0].label, false);
  EXPECT_TRUE(plain.comparisons.empty());
  const auto turns = read_one(
      R"({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],)"
      R"( "label": 1})");
  EXPECT_EQ(turns.completions[0].label, true);
  EXPECT_THAT(turns.messages, ElementsAre(FieldsAre("user", "Q")));
  EXPECT_THAT(turns.completions[0].messages, ElementsAre(FieldsAre("assistant", "A")));
}

TEST(Reader, ADeviceAFolderAndAPipeAreNoFiles) {
  const Folder folder;
  ASSERT_EQ(::mkfifo(folder.at("pipe").c_str(), 0600), 0);
  EXPECT_EQ(message_of([] { open_reader("/dev/zero", {}); }),
            "/dev/zero: expected a file, got a device or a pipe. Save the rows in a file");
  EXPECT_EQ(message_of([&] { open_reader(folder.at("pipe"), {}); }, folder.at("pipe")),
            ": expected a file, got a device or a pipe. Save the rows in a file");
  EXPECT_EQ(message_of([&] { open_reader(folder.at(""), {}); }, folder.at("")),
            ": expected a file, got a folder");
}

TEST(Reader, VerdictsOfSeveralAnnotators) {
  DataOptions options;
  options.columns = {{"prompt", "instruction"},
                     {"completion_a", "response1"},
                     {"completion_b", "response2"},
                     {"preferred", "rater1, rater2, rater3"}};
  const auto group = read_one(R"({"instruction": "Do", "input": "it", "response1": "x",)"
                              R"( "response2": "y", "rater1": 2, "rater2": 0, "rater3": "a"})",
                              options);
  EXPECT_EQ(group.prompt, "Do\n\nit");
  EXPECT_THAT(group.comparisons,
              ElementsAre(FieldsAre(1, 0, 1.0, 1.0, "rater1"),
                          FieldsAre(0, 1, 0.5, 1.0, "rater2"),
                          FieldsAre(0, 1, 1.0, 1.0, "rater3")));
}

TEST(Reader, ColumnsAreMapped) {
  DataOptions options;
  options.columns = {{"prompt", "q"}, {"chosen", "good"}, {"rejected", "bad"}};
  const auto group = read_one(R"({"q": "Q", "good": "a", "bad": "b", "prompt": "no"})", options);
  EXPECT_EQ(group.prompt, "Q");
  EXPECT_EQ(group.completions[0].text, "a");
}

TEST(Reader, LinesAreCountedAndBlankOnesPassed) {
  const Folder folder;
  const std::string row = R"({"prompt": "Q", "chosen": "a", "rejected": "b"})";
  const auto path = folder.write("x.jsonl", "\xEF\xBB\xBF\n" + row + "\r\n  \n" + row);
  const auto groups = read_all(path);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].where, path + ":2");
  EXPECT_EQ(groups[1].where, path + ":4");
}

TEST(Reader, EveryLayoutOfTheSameRowsGivesTheSameGroups) {
  const std::string a = R"({"prompt": "Q]}\"", "chosen": "a\\", "rejected": "{[b"})";
  const std::string b = R"({"prompt": "é\u0000", "chosen": "a", "rejected": "b"})";
  const std::vector<std::string> layouts{
      a + "\n" + b + "\n", "[" + a + "," + b + "]", "\n[\n" + a + " ,\n\n" + b + "\n]\n"};
  for (const std::string& layout : layouts) {
    for (const std::string& bytes : {layout, gzipped(layout)}) {
      const Folder folder;
      const auto groups = read_all(folder.write("no_extension", bytes));
      ASSERT_EQ(groups.size(), 2U) << layout;
      EXPECT_EQ(groups[0].prompt, "Q]}\"");
      EXPECT_EQ(groups[0].completions[0].text, "a\\");
      EXPECT_EQ(groups[0].completions[1].text, "{[b");
      EXPECT_EQ(groups[1].prompt, std::string("é\0", 3));
    }
  }
}

TEST(Reader, AnArraysRowsKnowTheirLine) {
  const Folder folder;
  const std::string row = "{\"prompt\": \"Q\",\n \"chosen\": \"a\", \"rejected\": \"b\"}";
  const auto path = folder.write("x.json", "[\n" + row + ",\n" + row + "]");
  const auto groups = read_all(path);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].where, path + ":2 (row 1)");
  EXPECT_EQ(groups[1].where, path + ":4 (row 2)");
}

TEST(Reader, ALineOfTenMegabytesIsRead) {
  const std::string big(10'000'000, 'x');
  const auto group = read_one(R"({"prompt": "Q", "chosen": "a", "rejected": ")" + big + "\"}");
  EXPECT_EQ(group.completions[1].text.size(), big.size());
}

TEST(Reader, TheRegistryAndTheOptionNameTheSameFormats) {
  DataOptions options;
  std::vector<std::string_view> allowed;
  options.fields([&allowed](std::string_view name, auto&, const Field& field) {
    if (name == "format") {
      allowed = field.one_of;
    }
  });
  std::vector<std::string_view> known = reader_formats();
  known.emplace_back("auto");
  EXPECT_THAT(allowed, ::testing::UnorderedElementsAreArray(known));
}

}  // namespace
}  // namespace attune::data
