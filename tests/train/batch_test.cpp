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
  EXPECT_EQ(numbers(batch.pairs.winner_P), (Numbers{1, 2}));
  EXPECT_EQ(numbers(batch.pairs.loser_P), (Numbers{0, 3}));
  EXPECT_EQ(numbers(batch.pairs.probability_P), (Numbers{0.75, 1}));
  EXPECT_EQ(numbers(batch.pairs.weight_P), (Numbers{2, 0.5}));
  EXPECT_EQ(batch.pair_weight, 2.5);
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

}  // namespace
}  // namespace attune::train
