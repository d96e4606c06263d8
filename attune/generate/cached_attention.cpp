#include "attune/generate/cached_attention.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <ATen/ops/empty.h>

#include "attune/core/error.h"
#include "attune/nn/attention_kernel.h"
#include "attune/nn/attention_plan.h"
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
      out_NHE.narrow(0, row, n).copy_(attend_many(
          q.narrow(0, row, n), k_NGE.narrow(0, row, n), v_NGE.narrow(0, row, n), cache, layer));
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

void CachedAttention::copy_cached(const at::Tensor& from_GTE,
                                  const Cache& cache,
                                  const at::Tensor& to_TGE) const {
  const int64_t E = shape_.head_dim;
  const int64_t G = shape_.kv_heads;
  const float* const from = from_GTE.const_data_ptr<float>();
  float* const to = to_TGE.data_ptr<float>();
  for (int64_t t = 0; t < cache.length; ++t) {
    for (int64_t g = 0; g < G; ++g) {
      std::copy_n(from + (g * cache.room + t) * E, E, to + (t * G + g) * E);
    }
  }
}

at::Tensor CachedAttention::attend_many(const at::Tensor& q_NHE,
                                        const at::Tensor& k_NGE,
                                        const at::Tensor& v_NGE,
                                        const Cache& cache,
                                        int64_t layer) const {
  const int64_t before = cache.length;
  const int64_t T = before + q_NHE.size(0);
  // What is in the cache stands in front of the new rows, and asks nothing.
  const auto whole = [&](const at::Tensor& fresh, const std::vector<at::Tensor>* cached) {
    if (before == 0) {
      return fresh.contiguous();
    }
    const at::Tensor all = at::empty({T, fresh.size(1), fresh.size(2)}, at::kFloat);
    all.narrow(0, before, T - before).copy_(fresh);
    if (cached != nullptr) {
      copy_cached((*cached)[static_cast<size_t>(layer)], cache, all);
    }
    return all;
  };
  const at::Tensor q_THE = whole(q_NHE, nullptr);
  const at::Tensor k_TGE = whole(k_NGE, &cache.keys_GTE);
  const at::Tensor v_TGE = whole(v_NGE, &cache.values_GTE);
  tensor::Tree tree;
  tree.segments.push_back({0, T, -1});
  std::vector<int64_t> queries(static_cast<size_t>(T - before));
  std::iota(queries.begin(), queries.end(), before);
  const nn::AttentionInput<float> in{.H = shape_.heads,
                                     .G = shape_.kv_heads,
                                     .E = shape_.head_dim,
                                     .q = q_THE.const_data_ptr<float>(),
                                     .k = k_TGE.const_data_ptr<float>(),
                                     .v = v_TGE.const_data_ptr<float>()};
  const at::Tensor out_THE = at::empty(q_THE.sizes(), at::kFloat);
  const at::Tensor lse_TH = at::empty({T, shape_.heads}, at::kFloat);
  nn::attend_tree<float>(in,
                         nn::plan_attention(tree, in.G, queries),
                         {.out = out_THE.data_ptr<float>(), .lse = lse_TH.data_ptr<float>()});
  return out_THE.narrow(0, before, T - before);
}

}  // namespace attune::generate
