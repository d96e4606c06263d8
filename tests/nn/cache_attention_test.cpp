// Attention over caches against whole softmaxes in f64.
#include "attune/nn/cache_attention.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/softmax.h>

#include "tests/nn/compare.h"

namespace attune::nn {
namespace {

using tests::difference;
using tests::normal;
using tests::same_bits;

// Rows with caches of 1, 2, ... tokens, of which there is room for more.
struct Case {
  explicit Case(const CacheHeads& given) : heads(given) {
    const std::vector<int64_t> lengths{1, 2, 17, 131};
    for (size_t i = 0; i < lengths.size(); ++i) {
      const int64_t room = lengths[i] + 3;
      q.push_back(normal({heads.H, heads.E}, 3 * i, at::kFloat));
      keys.push_back(normal({heads.G, room, heads.E}, 3 * i + 1, at::kFloat));
      values.push_back(normal({heads.G, room, heads.E}, 3 * i + 2, at::kFloat));
      out.push_back(at::full({heads.H, heads.E}, 1e30, at::kFloat));
      rows.push_back({.q = q[i].const_data_ptr<float>(),
                      .keys = keys[i].const_data_ptr<float>(),
                      .values = values[i].const_data_ptr<float>(),
                      .room = room,
                      .T = lengths[i],
                      .out = out[i].data_ptr<float>()});
    }
  }
  // The same by its definition.
  [[nodiscard]] at::Tensor expected(size_t i) const {
    const at::Tensor result = at::full({heads.H, heads.E}, 0.0, at::kDouble);
    for (int64_t h = 0; h < heads.H; ++h) {
      const int64_t g = h / (heads.H / heads.G);
      const at::Tensor k = keys[i].select(0, g).narrow(0, 0, rows[i].T).to(at::kDouble);
      const at::Tensor v = values[i].select(0, g).narrow(0, 0, rows[i].T).to(at::kDouble);
      const at::Tensor scores = at::mm(q[i].narrow(0, h, 1).to(at::kDouble), k.t()) /
                                std::sqrt(static_cast<double>(heads.E));
      result.narrow(0, h, 1).copy_(at::mm(at::softmax(scores, -1), v));
    }
    return result;
  }

  CacheHeads heads;
  std::vector<at::Tensor> q, keys, values, out;
  std::vector<CacheRow> rows;
};

class CacheAttention : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>> {
 protected:
  Case case_{{.H = std::get<0>(GetParam()) * std::get<1>(GetParam()),
              .G = std::get<0>(GetParam()),
              .E = std::get<2>(GetParam())}};
};
INSTANTIATE_TEST_SUITE_P(Shapes,
                         CacheAttention,
                         testing::Combine(testing::Values(2, 3),         // key heads
                                          testing::Values(1, 3, 7),      // query heads of each
                                          testing::Values(6, 64, 94)));  // elements

TEST_P(CacheAttention, EqualsWholeSoftmaxes) {
  attend_caches(case_.rows, case_.heads);
  for (size_t i = 0; i < case_.rows.size(); ++i) {
    EXPECT_LE(difference(case_.out[i], case_.expected(i)), 3e-6) << case_.rows[i].T;
  }
}

TEST_P(CacheAttention, ARowDependsNeitherOnTheOthersNorOnTheThreads) {
  attend_caches(case_.rows, case_.heads);
  Case alone(case_.heads);
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 3 : 1);
  for (size_t i = 0; i < alone.rows.size(); ++i) {
    attend_caches({&alone.rows[i], 1}, alone.heads);
    EXPECT_TRUE(same_bits(alone.out[i], case_.out[i]));
  }
  at::set_num_threads(threads);
}

TEST(CacheAttentionScores, MayBeFarApart) {
  Case one({.H = 2, .G = 2, .E = 6});
  for (const at::Tensor& q : one.q) {
    q.mul_(1000);
  }
  attend_caches(one.rows, one.heads);
  for (size_t i = 0; i < one.rows.size(); ++i) {
    EXPECT_LE(difference(one.out[i], one.expected(i)), 1e-3);
  }
}

}  // namespace
}  // namespace attune::nn
