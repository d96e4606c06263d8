#include "attune/generate/choose.h"

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace attune::generate {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int32_t choose_once(const std::vector<float>& logits,
                    const GenerateOptions& options,
                    uint64_t key) {
  RandomStream random(key);
  return choose(logits, options, random);
}

// Shares of the ids over many draws.
std::map<int32_t, double> shares(const std::vector<float>& logits, const GenerateOptions& options) {
  constexpr int kDraws = 20'000;
  RandomStream random(7);
  std::map<int32_t, double> share;
  for (int i = 0; i < kDraws; ++i) {
    share[choose(logits, options, random)] += 1.0 / kDraws;
  }
  return share;
}

TEST(Choose, TheLikeliestIsTheFirstOfEquals) {
  EXPECT_EQ(choose_once({1, 3, 2, 3}, {.temperature = 0}, 1), 1);
  EXPECT_EQ(choose_once({kNan, -7, kNan, -5}, {.temperature = 0}, 1), 3);
  EXPECT_EQ(choose_once({kNan, kNan}, {.temperature = 0}, 1), 0);
}

TEST(Choose, OfInfiniteLogitsTakesTheLikeliest) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const double top_p : {1.0, 0.9}) {
    EXPECT_EQ(choose_once({1, kInf, 2, kNan}, {.temperature = 1, .top_p = top_p}, 3), 1);
    EXPECT_EQ(choose_once({kNan, -kInf, -kInf}, {.temperature = 1, .top_p = top_p}, 3), 1);
  }
}

TEST(Choose, SharesAreThoseOfTheSoftmax) {
  // softmax([ln 1, ln 2, ln 5]) = 1/8, 2/8, 5/8; at temperature 1/2 the squares: 1/30, 4/30, 25/30.
  const std::vector<float> logits{0, std::log(2.0F), std::log(5.0F), kNan};
  auto plain = shares(logits, {.temperature = 1});
  EXPECT_NEAR(plain[0], 1.0 / 8, 0.02);
  EXPECT_NEAR(plain[1], 2.0 / 8, 0.02);
  EXPECT_NEAR(plain[2], 5.0 / 8, 0.02);
  EXPECT_EQ(plain.count(3), 0U);
  auto sharp = shares(logits, {.temperature = 0.5});
  EXPECT_NEAR(sharp[2], 25.0 / 30, 0.02);
  // The two likeliest: 2/7 and 5/7. Those that hold 0.6: the likeliest alone; 0.7: two of them.
  auto two = shares(logits, {.temperature = 1, .top_k = 2});
  EXPECT_EQ(two.count(0), 0U);
  EXPECT_NEAR(two[2], 5.0 / 7, 0.02);
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 0.6}).size(), 1U);
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 0.7}).size(), 2U);
}

TEST(Choose, ManyLogitsAreSortedAsFarAsIsNeeded) {
  // Equal logits: the draw u takes the id at u of the way, beyond any part that was sorted first.
  const std::vector<float> flat(10'007, 1.0F);
  RandomStream random(5);
  for (uint64_t key = 0; key < 50; ++key) {
    RandomStream same(key);
    const double u = same.uniform();
    EXPECT_NEAR(choose_once(flat, {.temperature = 1}, key), u * 10'007, 1.001);
  }
}

}  // namespace
}  // namespace attune::generate
