#include "attune/train/batch.h"

#include "tests/tensor/golden.h"

namespace attune::train {
namespace {

using tests::numbers;
using Numbers = std::vector<double>;

// Prompt 7 7 with completions 5 and 6 6; prompt 9 with 3 and 4; a group without comparisons.
std::vector<data::EncodedGroup> three_groups() {
  std::vector<data::EncodedGroup> groups{
      {.prompt = {7, 7},
       .completions = {{5}, {6, 6}},
       .comparisons = {{.winner = 1, .loser = 0, .probability = 0.75F, .weight = 2.0F}}},
      {.prompt = {9},
       .completions = {{3}, {4}},
       .comparisons = {{.winner = 0, .loser = 1, .probability = 1.0F, .weight = 0.5F}}},
      {.prompt = {1}, .completions = {{2}}, .comparisons = {}}};
  for (auto& group : groups) {
    group.key = data::content_key(group);
  }
  return groups;
}

TEST(Lift, KeepsEveryNumberOfThePackedBatch) {
  const auto groups = three_groups();
  const std::vector<int64_t> indices{11, 13, 17};
  const data::PackedBatch packed = data::pack(groups, indices);
  const PreferenceBatch batch = lift(packed);
  EXPECT_EQ(numbers(batch.tokens_N), (Numbers{7, 7, 5, 6, 6, 9, 3, 4, 1, 2}));
  EXPECT_EQ(numbers(batch.positions_N), (Numbers{0, 1, 2, 2, 3, 0, 1, 1, 0, 1}));
  ASSERT_EQ(batch.tree->segments.size(), 8U);
  EXPECT_EQ(batch.tree->segments[2].begin, 3);
  EXPECT_EQ(batch.tree->segments[2].end, 5);
  EXPECT_EQ(batch.tree->segments[2].parent, 0);
  EXPECT_EQ(batch.tree->segments[3].parent, -1);
  // The first label of a completion is predicted by the prompt's last token.
  EXPECT_EQ(numbers(batch.row_C), (Numbers{1, 1, 3, 5, 5, 8}));
  EXPECT_EQ(numbers(batch.label_C), (Numbers{5, 6, 6, 3, 4, 2}));
  EXPECT_EQ(numbers(batch.sequence_C), (Numbers{0, 1, 1, 2, 3, 4}));
  EXPECT_EQ(numbers(batch.count_S), (Numbers{1, 2, 1, 1, 1}));
  EXPECT_EQ(batch.count_S.scalar_type(), at::kDouble);
  EXPECT_EQ(numbers(batch.feedback.pairs.winner_P), (Numbers{1, 2}));
  EXPECT_EQ(numbers(batch.feedback.pairs.loser_P), (Numbers{0, 3}));
  EXPECT_EQ(numbers(batch.feedback.pairs.probability_P), (Numbers{0.75, 1}));
  EXPECT_EQ(numbers(batch.feedback.pairs.weight_P), (Numbers{2, 0.5}));
  EXPECT_EQ(batch.weights.pair, 2.5);
  EXPECT_EQ(batch.groups, indices);
  EXPECT_EQ(batch.group_S, (std::vector<int64_t>{0, 0, 1, 1, 2}));
}

TEST(Lift, KeepsAllBitsOfTheRowKeys) {
  const data::PackedBatch packed = data::pack(three_groups());
  const PreferenceBatch batch = lift(packed);
  for (size_t i = 0; i < packed.row_keys.size(); ++i) {
    EXPECT_EQ(static_cast<uint64_t>(batch.row_keys_N.data_ptr<int64_t>()[i]), packed.row_keys[i]);
  }
}

TEST(Lift, RefusesAnEmptyBatch) {
  EXPECT_THROW(lift(data::PackedBatch{}), InternalError);
}

TEST(Lift, ALabelWeighsWhatItsRowSays) {
  const std::vector<data::EncodedGroup> groups{
      {.prompt = {7}, .completions = {{2}}, .labels = {1}, .label_weights = {2}},
      {.prompt = {11}, .completions = {{3}}, .labels = {-1}, .label_weights = {0}},
      {.prompt = {13}, .completions = {{5}}, .labels = {-1}}};
  // A stranger behind each has no label, and moves no weight.
  const std::vector<std::vector<int32_t>> strangers{{17}, {19}, {23}};
  const PreferenceBatch batch = lift(data::pack(groups, {}, strangers));
  EXPECT_EQ(numbers(batch.feedback.label_S), (Numbers{1, 0, -1, 0, -1, 0}));
  EXPECT_EQ(numbers(batch.feedback.label_weight_S), (Numbers{2, 0, 0, 0, 1, 0}));
  EXPECT_EQ(batch.weights.label, 3);
}

TEST(Lift, AnUnsureComparisonGivesLabelsOfWhatIsLeftOfItsWeight) {
  std::vector<data::EncodedGroup> groups;
  for (const float probability : {1.0F, 0.75F, 0.5F, 0.375F, 0.0F}) {
    groups.push_back(
        {.prompt = {7},
         .completions = {{2}, {3}},
         .comparisons = {{.winner = 0, .loser = 1, .probability = probability, .weight = 8}}});
  }
  const objective::Feedback feedback = lift(data::pack(groups)).feedback;
  EXPECT_EQ(numbers(feedback.label_S), (Numbers{1, -1, 1, -1, 0, 0, -1, 1, -1, 1}));
  EXPECT_EQ(numbers(feedback.label_weight_S), (Numbers{8, 8, 4, 4, 0, 0, 2, 2, 8, 8}));
}

TEST(Lift, TheLabelsOfSeveralUnsureComparisonsAddUp) {
  const data::EncodedGroup group{.prompt = {7},
                                 .completions = {{2}, {3}, {5}},
                                 .comparisons = {{0, 1, 0.75F, 2}, {0, 2, 1, 3}, {1, 2, 0.5F, 7}}};
  const objective::Feedback feedback =
      lift(data::pack(std::vector<data::EncodedGroup>{group})).feedback;
  EXPECT_EQ(numbers(feedback.label_S), (Numbers{1, -1, -1}));
  EXPECT_EQ(numbers(feedback.label_weight_S), (Numbers{4, 1, 3}));
}

// One prompt with three completions and these comparisons, first over second.
objective::Feedback compared(const std::vector<std::pair<int32_t, int32_t>>& pairs,
                             float probability = 1) {
  data::EncodedGroup group{.prompt = {7}, .completions = {{2}, {3}, {5}}, .comparisons = {}};
  for (const auto& [winner, loser] : pairs) {
    group.comparisons.push_back(
        {.winner = winner, .loser = loser, .probability = probability, .weight = 3});
  }
  return lift(data::pack(std::vector<data::EncodedGroup>{group})).feedback;
}

TEST(Lift, ARankingIsAllComparisonsOfAnOrder) {
  const objective::Feedback strict = compared({{2, 0}, {0, 1}, {2, 1}});
  EXPECT_EQ(numbers(strict.rank_S), (Numbers{1, 2, 0}));
  EXPECT_EQ(numbers(strict.group_weight_G), (Numbers{3}));
}

TEST(Lift, CompletionsThatAreNotComparedMayShareARank) {
  EXPECT_EQ(numbers(compared({{0, 1}, {2, 1}}).rank_S), (Numbers{0, 2, 0}));
  EXPECT_EQ(numbers(compared({{0, 1}, {0, 2}}).rank_S), (Numbers{0, 1, 1}));
}

TEST(Lift, RankingsOfSeveralPromptsStandApartFromStrangers) {
  const data::EncodedGroup tied{
      .prompt = {7}, .completions = {{2}, {3}, {5}}, .comparisons = {{0, 1, 1, 3}, {2, 1, 1, 5}}};
  const data::EncodedGroup pair{
      .prompt = {11}, .completions = {{2}, {3}}, .comparisons = {{1, 0, 1, 7}}};
  const std::vector<data::EncodedGroup> groups{tied, pair};
  const std::vector<std::vector<int32_t>> strangers{{13}, {17}};
  const objective::Feedback feedback = lift(data::pack(groups, {}, strangers)).feedback;
  EXPECT_EQ(numbers(feedback.rank_S), (Numbers{0, 2, 0, -1, 1, 0, -1}));
  EXPECT_EQ(numbers(feedback.group_S), (Numbers{0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(numbers(feedback.group_weight_G), (Numbers{4, 7}));
}

TEST(Lift, WhatIsNoOrderIsNoRanking) {
  const auto expect_none = [](const objective::Feedback& feedback) {
    EXPECT_EQ(numbers(feedback.rank_S), (Numbers{-1, -1, -1}));
    EXPECT_EQ(numbers(feedback.group_weight_G), (Numbers{0}));
  };
  expect_none(compared({}));
  expect_none(compared({{0, 1}}));                         // who is better, 2 or 1?
  expect_none(compared({{0, 1}, {0, 1}}));                 // said twice
  expect_none(compared({{0, 1}, {1, 2}}));                 // 0 over 2 was not said
  expect_none(compared({{0, 1}, {1, 2}, {2, 0}}));         // in a circle
  expect_none(compared({{0, 1}, {1, 0}}));                 // both
  expect_none(compared({{2, 0}, {0, 1}, {2, 1}}, 0.75F));  // unsure
}

}  // namespace
}  // namespace attune::train
