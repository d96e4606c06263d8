#include "attune/generate/cached_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include "attune/core/error.h"
#include "attune/nn/cache_attention.h"

namespace attune::generate {

CachedAttention::CachedAttention(const model::DecoderShape& shape, int64_t num_sequences)
    : shape_(shape), caches_(static_cast<size_t>(num_sequences)) {}

void CachedAttention::begin(std::vector<Rows> rows) {
  rows_ = std::move(rows);
  for (const Rows& part : rows_) {
    Cache& cache = caches_.at(static_cast<size_t>(part.sequence));
    make_room(cache, cache.length + part.count);
  }
}

void CachedAttention::end() {
  for (const Rows& part : rows_) {
    caches_[static_cast<size_t>(part.sequence)].length += part.count;
  }
  rows_.clear();
}

int64_t CachedAttention::length(int64_t sequence) const {
  return caches_.at(static_cast<size_t>(sequence)).length;
}

void CachedAttention::truncate(int64_t sequence, int64_t length) {
  Cache& cache = caches_.at(static_cast<size_t>(sequence));
  ensure(length <= cache.length, "cache: {} tokens cut to {}", cache.length, length);
  cache.length = length;
}

void CachedAttention::make_room(Cache& cache, int64_t length) const {
  if (length <= cache.room) {
    return;
  }
  const int64_t room = std::max<int64_t>(256, std::max(length, 2 * cache.room));
  const auto grown = [&](const at::Tensor& old_GTE) {
    at::Tensor fresh = at::empty({shape_.kv_heads, room, shape_.head_dim}, at::kFloat);
    if (cache.length > 0) {
      fresh.narrow(1, 0, cache.length).copy_(old_GTE.narrow(1, 0, cache.length));
    }
    return fresh;
  };
  cache.keys_GTE.resize(static_cast<size_t>(shape_.layers));
  cache.values_GTE.resize(static_cast<size_t>(shape_.layers));
  for (size_t layer = 0; layer < cache.keys_GTE.size(); ++layer) {
    cache.keys_GTE[layer] = grown(cache.keys_GTE[layer]);
    cache.values_GTE[layer] = grown(cache.values_GTE[layer]);
  }
  cache.room = room;
}

at::Tensor CachedAttention::attend(int64_t layer,
                                   const at::Tensor& q_NHE,
                                   const at::Tensor& k_NGE,
                                   const at::Tensor& v_NGE) {
  const int64_t H = shape_.heads;
  const int64_t G = shape_.kv_heads;
  const int64_t E = shape_.head_dim;
  const at::Tensor q = q_NHE.contiguous();
  const at::Tensor out_NHE = at::empty(q.sizes(), at::kFloat);
  std::vector<nn::CacheRow> singles;
  int64_t row = 0;
  for (const Rows& part : rows_) {
    const Cache& cache = caches_[static_cast<size_t>(part.sequence)];
    const int64_t n = part.count;
    const at::Tensor& keys = cache.keys_GTE[static_cast<size_t>(layer)];
    const at::Tensor& values = cache.values_GTE[static_cast<size_t>(layer)];
    append(k_NGE.narrow(0, row, n), cache, keys);
    append(v_NGE.narrow(0, row, n), cache, values);
    if (n > kFewRows) {
      out_NHE.narrow(0, row, n).copy_(attend_many(q.narrow(0, row, n), cache, layer));
    } else {
      for (int64_t i = 0; i < n; ++i) {
        singles.push_back({.q = q.const_data_ptr<float>() + (row + i) * H * E,
                           .keys = keys.const_data_ptr<float>(),
                           .values = values.const_data_ptr<float>(),
                           .room = cache.room,
                           .T = cache.length + i + 1,
                           .out = out_NHE.data_ptr<float>() + (row + i) * H * E});
      }
    }
    row += n;
  }
  nn::attend_caches(singles, {.H = H, .G = G, .E = E});
  return out_NHE;
}

void CachedAttention::append(const at::Tensor& from_NGE,
                             const Cache& cache,
                             const at::Tensor& to_GTE) const {
  const at::Tensor x_NGE = from_NGE.contiguous();
  const int64_t E = shape_.head_dim;
  const int64_t G = shape_.kv_heads;
  const float* const from = x_NGE.const_data_ptr<float>();
  float* const to = to_GTE.data_ptr<float>();
  for (int64_t i = 0; i < x_NGE.size(0); ++i) {
    for (int64_t g = 0; g < G; ++g) {
      std::copy_n(from + (i * G + g) * E, E, to + (g * cache.room + cache.length + i) * E);
    }
  }
}

at::Tensor CachedAttention::attend_many(const at::Tensor& q_NHE,
                                        const Cache& cache,
                                        int64_t layer) const {
  const int64_t n = q_NHE.size(0);
  const int64_t G = shape_.kv_heads;
  const int64_t heads = shape_.heads / G;
  const int64_t E = shape_.head_dim;
  const int64_t T = cache.length + n;
  const double scale = 1.0 / std::sqrt(static_cast<double>(E));
  const at::Tensor keys = cache.keys_GTE[static_cast<size_t>(layer)].narrow(1, 0, T);
  const at::Tensor values = cache.values_GTE[static_cast<size_t>(layer)].narrow(1, 0, T);
  // Query heads of one key head side by side: [G, heads * n, E].
  const at::Tensor q =
      q_NHE.view({n, G, heads, E}).permute({1, 2, 0, 3}).reshape({G, heads * n, E});
  const at::Tensor scores = at::matmul(q, keys.transpose(1, 2)) * scale;
  const at::Tensor hidden =
      at::full({n, T}, -std::numeric_limits<double>::infinity(), scores.options())
          .triu(cache.length + 1);
  const at::Tensor seen = (scores.view({G, heads, n, T}) + hidden).view({G, heads * n, T});
  const at::Tensor out = at::matmul(at::softmax(seen, -1), values);
  return out.view({G, heads, n, E}).permute({2, 0, 1, 3}).reshape({n, shape_.heads, E});
}

}  // namespace attune::generate
