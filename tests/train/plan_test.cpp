// What a run leaves to the machine: micro-batches and whether layers run again.
#include "attune/train/plan.h"

#include <gtest/gtest.h>

namespace attune::train {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// SmolLM2-135M's shape.
model::DecoderShape shape() {
  model::DecoderShape s;
  s.vocabulary = 49152;
  s.width = 576;
  s.layers = 30;
  s.heads = 9;
  s.kv_heads = 3;
  s.head_dim = 64;
  s.feed_forward = 1536;
  s.max_positions = 8192;
  s.tied_head = true;
  return s;
}

PlanInput lora(int64_t most_tokens) {
  PlanInput input;
  input.trained = 460'800;
  input.products.tiles = true;
  input.products.narrow = tensor::Narrow::kBackward;
  input.tokens = most_tokens;
  return input;
}

int64_t planned(PlanInput input, const Budget& budget) {
  input.tokens = std::min(input.tokens, budget.tokens);
  input.scored = input.tokens;
  input.recompute = budget.recompute;
  return total_bytes(memory_plan(shape(), input));
}

TEST(ChooseBudget, OnARoomyMachineTakesTheLargestModestSizeAndNeverRecomputes) {
  const Budget budget = choose_budget(shape(), lora(4096), {}, {}, 64'000 * kMiB);
  EXPECT_EQ(budget.tokens, 1024);
  EXPECT_FALSE(budget.recompute);
  PlanInput full = lora(4096);
  full.full = true;
  EXPECT_EQ(choose_budget(shape(), full, {}, {}, 64'000 * kMiB).tokens, 512);
}

TEST(ChooseBudget, WithLessFreeMemoryTakesLessAndAtLastRecomputes) {
  int64_t before = 1 << 20;
  bool recomputed = false;
  for (const int64_t free : {1600, 1100, 1000, 950, 900}) {
    const Budget budget = choose_budget(shape(), lora(4096), {}, {}, free * kMiB);
    EXPECT_LE(planned(lora(4096), budget), free * kMiB / 5 * 4) << free << " MiB";
    EXPECT_TRUE(budget.tokens <= before || (budget.recompute && !recomputed)) << free << " MiB";
    EXPECT_GE(budget.recompute, recomputed) << free << " MiB";
    before = budget.tokens;
    recomputed = budget.recompute;
  }
  EXPECT_TRUE(recomputed);
}

TEST(ChooseBudget, WhereNothingFitsTakesTheLeast) {
  const Budget budget = choose_budget(shape(), lora(4096), {}, {}, 300 * kMiB);
  EXPECT_EQ(budget.tokens, 256);
  EXPECT_TRUE(budget.recompute);
}

TEST(ChooseBudget, KeepsWhatIsAskedFor) {
  const Budget tokens = choose_budget(shape(), lora(4096), 333, {}, 300 * kMiB);
  EXPECT_EQ(tokens.tokens, 333);
  EXPECT_TRUE(tokens.recompute);
  const Budget both = choose_budget(shape(), lora(4096), 333, false, 300 * kMiB);
  EXPECT_EQ(both.tokens, 333);
  EXPECT_FALSE(both.recompute);
  EXPECT_TRUE(choose_budget(shape(), lora(4096), {}, true, 64'000 * kMiB).recompute);
}

TEST(ChooseBudget, CountsNoMoreTokensThanAStepHas) {
  const int64_t free = planned(lora(300), {.tokens = 300}) / 4 * 5 + kMiB;
  EXPECT_EQ(choose_budget(shape(), lora(300), 4096, {}, free).recompute, false);
  EXPECT_EQ(choose_budget(shape(), lora(4096), 4096, {}, free).recompute, true);
}

}  // namespace
}  // namespace attune::train
