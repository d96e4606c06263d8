#include "attune/nn/cache_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "attune/core/clones.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/parallel.h"
#include "attune/tensor/thin.h"
#include "attune/tensor/turn.h"

namespace attune::nn {
namespace {

constexpr int64_t kLine = tensor::kTurnSide;
constexpr int64_t kLines = 4;  // of a head that are summed at once

// out[h] = sum over t of p[h][t] v[t], for `count` lines of v that stand side by side.
template <int count>
[[gnu::always_inline]] inline void weigh(
    const float* p, const float* v, int64_t stride, int64_t T, float* out) {
  tensor::TurnLine sums[count] = {};
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = 0; i < count; ++i) {
      sums[i] += p[t] * *reinterpret_cast<const tensor::TurnLine*>(v + t * stride + i * kLine);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    *reinterpret_cast<tensor::TurnLine*>(out + i * kLine) = sums[i];
  }
}

// out[heads, E] = p[heads, T] v[T, E].
ATTUNE_CLONES void weighted_values(
    const float* p, const float* v, int64_t heads, int64_t T, int64_t E, float* out) {
  for (int64_t h = 0; h < heads; ++h) {
    const float* const row = p + h * T;
    float* const to = out + h * E;
    int64_t e = 0;
    for (; e + kLines * kLine <= E; e += kLines * kLine) {
      weigh<kLines>(row, v + e, E, T, to + e);
    }
    for (; e + kLine <= E; e += kLine) {
      weigh<1>(row, v + e, E, T, to + e);
    }
    for (; e < E; ++e) {
      float sum = 0;
      for (int64_t t = 0; t < T; ++t) {
        sum += row[t] * v[t * E + e];
      }
      to[e] = sum;
    }
  }
}

// The query heads of one key head.
void attend_head(const CacheRow& row, const CacheHeads& heads, int64_t g, float* scores) {
  const int64_t count = heads.H / heads.G;
  const int64_t E = heads.E;
  const int64_t T = row.T;
  const tensor::ThinProduct product{.w = {.data = row.keys + g * row.room * E, .stride = E},
                                    .O = T,
                                    .y = scores,
                                    .stride = T,
                                    .factor = 1.0F / std::sqrt(static_cast<float>(E))};
  tensor::thin_product(
      {.data = row.q + g * count * E, .stride = E}, count, E, {&product, 1}, /*alone=*/true);
  for (int64_t h = 0; h < count; ++h) {
    float* const p = scores + h * T;
    const float sum = exp_shifted(p, largest(p, T), T);
    for (int64_t t = 0; t < T; ++t) {
      p[t] /= sum;
    }
  }
  weighted_values(scores, row.values + g * row.room * E, count, T, E, row.out + g * count * E);
}

}  // namespace

void attend_caches(std::span<const CacheRow> rows, const CacheHeads& heads) {
  const auto tasks = static_cast<int64_t>(rows.size()) * heads.G;
  tensor::share_out(tasks, 1, [&](int64_t begin, int64_t end) {
    thread_local std::vector<float> scores;
    for (int64_t task = begin; task < end; ++task) {
      const CacheRow& row = rows[static_cast<size_t>(task / heads.G)];
      const auto needed = static_cast<size_t>(heads.H / heads.G * row.T);
      if (scores.size() < needed) {
        scores.resize(2 * needed);
      }
      attend_head(row, heads, task % heads.G, scores.data());
    }
  });
}

}  // namespace attune::nn
