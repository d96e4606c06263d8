#include "attune/data/row_numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/support.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;
using testing::Folder;
using testing::message_of;
using testing::read_all;
using testing::read_one;

using Scores = std::vector<std::optional<double>>;

Scores scores_of(const PreferenceGroup& group) {
  Scores scores;
  for (const Completion& completion : group.completions) {
    scores.push_back(completion.score);
  }
  return scores;
}

std::vector<double> values_of(const PreferenceGroup& group, const std::string& name) {
  std::vector<double> values;
  for (const Completion& completion : group.completions) {
    values.push_back(completion.values.at(name));
  }
  return values;
}

/// A pair with more fields, `{"prompt": ..., MORE}`.
std::string pair_with(std::string_view more) {
  return fmt::format(R"({{"prompt": "Q", "chosen": "a", "rejected": "b", {}}})", more);
}

std::string refusal(const std::string& row, const DataOptions& options) {
  const Folder folder;
  const std::string path = folder.write("rows.jsonl", row);
  return message_of([&] { read_all(path, options); }, path);
}

TEST(RowNumbers, ScoresOfAPairComeFromAnyOfTheirNames) {
  EXPECT_EQ(scores_of(read_one(pair_with(R"("score_chosen": 8.5, "score_rejected": -3)"))),
            (Scores{8.5, -3.0}));
  EXPECT_EQ(scores_of(read_one(pair_with(R"("chosen_score": 8.5, "rejected_score": 2)"))),
            (Scores{8.5, 2.0}));
  EXPECT_EQ(scores_of(read_one(pair_with(R"("weight": 2)"))), (Scores{{}, {}}));
  const DataOptions mapped{.columns = {{"score_chosen", "good"}, {"score_rejected", "bad"}}};
  EXPECT_EQ(scores_of(read_one(pair_with(R"("good": 5, "bad": 3, "score_chosen": 9)"), mapped)),
            (Scores{5.0, 3.0}));
}

TEST(RowNumbers, AMarginIsTheDifferenceOfScoresThatAreNotGiven) {
  EXPECT_EQ(scores_of(read_one(pair_with(R"("margin": 1.5)"))), (Scores{1.5, 0.0}));
  EXPECT_EQ(
      scores_of(read_one(pair_with(R"("margin": 1.5, "score_chosen": 7, "score_rejected": 5.5)"))),
      (Scores{7.0, 5.5}));
  // A column that merely has the name may hold anything; a mapped one may not.
  EXPECT_EQ(scores_of(read_one(pair_with(R"("margin": "wide")"))), (Scores{{}, {}}));
  EXPECT_EQ(refusal(pair_with(R"("gap": "wide")"), {.columns = {{"margin", "gap"}}}),
            R"(:1: field "gap" must be a number, got a text)");
}

TEST(RowNumbers, OtherRowsHaveScoresToo) {
  const auto ranked = read_one(
      R"({"prompt": "Q", "completions": ["a", "b", "c"], "scores": [2, 7, 3], "ranking": [1, 2, 0]})");
  EXPECT_EQ(scores_of(ranked), (Scores{2.0, 7.0, 3.0}));
  const auto verdict =
      read_one(R"({"prompt": "Q", "completion_a": "a", "completion_b": "b", "preferred": 2,)"
               R"( "score_a": 1, "score_b": 4})");
  EXPECT_EQ(scores_of(verdict), (Scores{1.0, 4.0}));
  const auto unpaired =
      read_one(R"({"prompt": "Q", "completion": "a", "label": true, "score": 0.25})");
  EXPECT_EQ(scores_of(unpaired), (Scores{0.25}));
}

TEST(RowNumbers, ANumberBeyondAFloatIsRefused) {
  EXPECT_EQ(refusal(pair_with(R"("score_chosen": 1e39)"), {}),
            R"(:1: field "score_chosen" holds a number that is too large: 1e+39)");
  EXPECT_EQ(read_one(pair_with(R"("score_chosen": 3e38)")).completions[0].score, 3e38);
}

TEST(RowNumbers, ValuesComeFromAColumnASideOrFromAList) {
  const DataOptions options{.values = {"cost"}};
  const std::vector<double> want{5, 7};
  for (const char* columns : {R"("cost_chosen": 5, "cost_rejected": 7)",
                              R"("chosen_cost": 5, "rejected_cost": 7)",
                              R"("cost_chosen": 5, "rejected_cost": 7)",
                              R"("cost": [5, 7])",
                              R"("cost": "of both", "cost_chosen": 5, "cost_rejected": 7)"}) {
    EXPECT_EQ(values_of(read_one(pair_with(columns), options), "cost"), want) << columns;
  }
  EXPECT_THAT(values_of(read_one(R"({"prompt": "Q", "completions": ["a", "b", "c"],)"
                                 R"( "scores": [1, 2, 3], "cost": [0.5, -1, 0]})",
                                 options),
                        "cost"),
              ElementsAre(0.5, -1, 0));
  EXPECT_THAT(values_of(read_one(R"({"prompt": "Q", "completion_a": "a", "completion_b": "b",)"
                                 R"( "preferred": 2, "cost_a": 3, "cost_b": 2})",
                                 options),
                        "cost"),
              ElementsAre(3, 2));
  EXPECT_THAT(
      values_of(read_one(R"({"prompt": "Q", "completion": "a", "label": 0, "cost": 3})", options),
                "cost"),
      ElementsAre(3));
  const DataOptions both{.values = {"cost", "length"}};
  EXPECT_THAT(
      values_of(read_one(pair_with(R"("cost": [5, 7], "length": [11, 13])"), both), "length"),
      ElementsAre(11, 13));
}

TEST(RowNumbers, AMissingOrWrongValueIsNamedByItsColumn) {
  const DataOptions options{.values = {"cost"}};
  const std::string ranked =
      R"({"prompt": "Q", "completions": ["a", "b", "c"], "scores": [1, 2, 3])";
  const std::vector<std::pair<std::string, std::string>> cases{
      {pair_with(R"("cost_chosen": 5)"), R"(:1: field "cost_rejected" is missing (data.values))"},
      {pair_with(R"("cost_chosen": 5, "cost_rejected": null)"),
       R"(:1: field "cost_rejected" is missing (data.values): it is null)"},
      {pair_with(R"("cost_chosen": 5, "cost_reject": 3)"),
       R"(:1: field "cost_rejected" is missing (data.values). Did you mean "cost_reject"?)"},
      {pair_with(R"("cost_chosen": 5, "cost_rejected": "much")"),
       R"(:1: field "cost_rejected" must be a number, got a text)"},
      {pair_with(R"("cost": 5)"),
       R"(:1: field "cost" must be a list of numbers: 2 completions, and one number)"},
      {pair_with(R"("cost": [5, "x"])"), R"(:1: field "cost" must be a number, got a text)"},
      {ranked + "}", R"(:1: field "cost" is missing (data.values))"},
      {ranked + R"(, "cost": [1, 2]})",
       R"(:1: field "cost" has a wrong length: expected 3 entries, got 2)"}};
  for (const auto& [row, message] : cases) {
    EXPECT_EQ(refusal(row, options), message) << row;
  }
}

TEST(RowNumbers, ATagIsATextAWholeNumberOrATruthValue) {
  const DataOptions options{.tag = "region"};
  EXPECT_EQ(read_one(pair_with(R"("region": "north")"), options).tag, "north");
  EXPECT_EQ(read_one(pair_with(R"("region": 17)"), options).tag, "17");
  EXPECT_EQ(read_one(pair_with(R"("region": true)"), options).tag, "true");
  EXPECT_EQ(read_one(pair_with(R"("region": "north")")).tag, "");
  EXPECT_EQ(refusal(pair_with(R"("regoin": "north")"), options),
            R"(:1: field "region" is missing (data.tag). Did you mean "regoin"?)");
  EXPECT_EQ(refusal(pair_with(R"("region": "")"), options),
            R"(:1: field "region" is empty (data.tag))");
  EXPECT_EQ(refusal(pair_with(R"("region": ["north"])"), options),
            R"(:1: field "region" must be text or a whole number (data.tag), got an array)");
}

}  // namespace
}  // namespace attune::data
