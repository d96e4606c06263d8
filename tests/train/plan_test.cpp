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

PlanInput lora() {
  PlanInput input;
  input.trained = 460'800;
  input.products.tiles = true;
  input.products.narrow = tensor::Narrow::kBackward;
  return input;
}

int64_t planned(PlanInput input, const Budget& budget) {
  input.tokens = budget.tokens;
  input.scored = input.tokens;
  input.recompute = budget.recompute;
  return total_bytes(memory_plan(shape(), input));
}

Limits limits(int64_t memory_mib, int64_t free_mib) {
  return {.memory_bytes = memory_mib * kMiB,
          .free_bytes = free_mib * kMiB,
          .largest_group = 211,
          .most_tokens = 8191};
}

TEST(ChooseBudget, OnARoomyMachineTakesTheLargestModestSizeAndNeverRecomputes) {
  const Budget budget = choose_budget(shape(), lora(), {}, {}, limits(64'000, 60'000));
  EXPECT_EQ(budget.tokens, 1024);
  EXPECT_FALSE(budget.recompute);
  PlanInput full = lora();
  full.full = true;
  EXPECT_EQ(choose_budget(shape(), full, {}, {}, limits(64'000, 60'000)).tokens, 512);
}

TEST(ChooseBudget, ASmallerMachineTakesLessAtOnce) {
  int64_t before = 1 << 20;
  for (const int64_t memory : {1900, 1650, 1500, 1400}) {
    const Budget budget = choose_budget(shape(), lora(), {}, {}, limits(memory, 60'000));
    EXPECT_LE(planned(lora(), budget), memory * kMiB / 10 * 6) << memory << " MiB";
    EXPECT_LE(budget.tokens, before) << memory << " MiB";
    before = budget.tokens;
  }
  EXPECT_LT(before, 768);
  EXPECT_EQ(choose_budget(shape(), lora(), {}, {}, limits(500, 60'000)).tokens, 256);
}

TEST(ChooseBudget, WhatElseTheMachineDoesDecidesOnRecomputingAlone) {
  const int64_t needed = planned(lora(), {.tokens = 1024}) / kMiB;
  const Budget roomy = choose_budget(shape(), lora(), {}, {}, limits(64'000, needed * 5 / 4 + 9));
  const Budget tight = choose_budget(shape(), lora(), {}, {}, limits(64'000, needed * 5 / 4 - 9));
  EXPECT_EQ(roomy.tokens, 1024);
  EXPECT_EQ(tight.tokens, 1024);
  EXPECT_FALSE(roomy.recompute);
  EXPECT_TRUE(tight.recompute);
}

TEST(ChooseBudget, KeepsWhatIsAskedFor) {
  const Budget tokens = choose_budget(shape(), lora(), 333, {}, limits(300, 300));
  EXPECT_EQ(tokens.tokens, 333);
  EXPECT_TRUE(tokens.recompute);
  const Budget both = choose_budget(shape(), lora(), 333, false, limits(300, 300));
  EXPECT_EQ(both.tokens, 333);
  EXPECT_FALSE(both.recompute);
  EXPECT_TRUE(choose_budget(shape(), lora(), {}, true, limits(64'000, 60'000)).recompute);
}

TEST(ChooseBudget, CountsNoMoreTokensThanAStepHasAndNoFewerThanAGroup) {
  const int64_t free = planned(lora(), {.tokens = 300}) / kMiB * 5 / 4 + 9;
  Limits short_steps = limits(64'000, free);
  short_steps.most_tokens = 300;
  EXPECT_FALSE(choose_budget(shape(), lora(), 4096, {}, short_steps).recompute);
  EXPECT_TRUE(choose_budget(shape(), lora(), 4096, {}, limits(64'000, free)).recompute);
  Limits long_group = limits(64'000, free);
  long_group.largest_group = 4001;
  EXPECT_FALSE(choose_budget(shape(), lora(), 256, {}, limits(64'000, free)).recompute);
  EXPECT_TRUE(choose_budget(shape(), lora(), 256, {}, long_group).recompute);
}

}  // namespace
}  // namespace attune::train
