#include "attune/model/trunk_memory.h"

#include <algorithm>
#include <mutex>

#include <ATen/ops/empty.h>

namespace attune::model {
namespace {

std::mutex block_mutex;
at::Tensor free_block;  // guarded by block_mutex

}  // namespace

std::array<Widths, kProjections> projection_widths(const DecoderShape& s) {
  const int64_t query = s.heads * s.head_dim;
  const int64_t key = s.kv_heads * s.head_dim;
  return {{{s.width, query},
           {s.width, key},
           {s.width, key},
           {query, s.width},
           {s.width, s.feed_forward},
           {s.width, s.feed_forward},
           {s.feed_forward, s.width}}};
}

std::array<const adapter::Linear*, kProjections> projections(const DecoderLayer& layer) {
  return {&layer.q_proj,
          &layer.k_proj,
          &layer.v_proj,
          &layer.o_proj,
          &layer.gate_proj,
          &layer.up_proj,
          &layer.down_proj};
}

template <class T, class K>
KeptLayer<T, K> take_layer(Layout& memory,
                           const DecoderShape& s,
                           const std::array<int64_t, kProjections>& ranks,
                           int64_t N,
                           int64_t M) {
  const int64_t query = s.heads * s.head_dim;
  const int64_t key = s.kv_heads * s.head_dim;
  KeptLayer<T, K> kept;
  kept.x = memory.take<K>(N * s.width);
  kept.rstd_in = memory.take<T>(N);
  kept.q = memory.take<T>(N * query);
  kept.k = memory.take<T>(N * key);
  kept.v = memory.take<T>(N * key);
  if (s.qk_norm) {
    kept.q_raw = memory.take<T>(N * query);
    kept.k_raw = memory.take<T>(N * key);
    kept.rstd_q = memory.take<T>(N * s.heads);
    kept.rstd_k = memory.take<T>(N * s.kv_heads);
  }
  kept.out = memory.take<T>(N * query);
  kept.lse = memory.take<T>(N * s.heads);
  kept.h = memory.take<K>(M * s.width);
  kept.rstd_post = memory.take<T>(M);
  kept.gate = memory.take<K>(M * s.feed_forward);
  kept.up = memory.take<K>(M * s.feed_forward);
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] > 0) {
      kept.inner[i] = memory.take<T>((i < kO ? N : M) * ranks[i]);
    }
  }
  return kept;
}

template <class T>
Work<T> take_work(Layout& memory, const DecoderShape& s, int64_t N, const WorkNeeds& needs) {
  const int64_t query = s.heads * s.head_dim;
  const int64_t key = s.kv_heads * s.head_dim;
  const int64_t widest = std::max({s.width, s.feed_forward, query});
  Work<T> work;
  work.x = memory.take<T>(N * s.width);
  work.normed = memory.take<T>(N * s.width);
  work.y = memory.take<T>(N * s.feed_forward);
  work.rows = memory.take<T>(N * std::max(s.width, query));
  if (needs.narrow) {
    work.narrow =
        memory.take<uint16_t>(N * std::max({s.width + 2 * s.feed_forward, query + 2 * key}));
  }
  if (needs.dropout) {
    work.extra = memory.take<T>(N * widest);
    work.masked = memory.take<T>(N * widest);
  }
  if (needs.backward) {
    work.dx = memory.take<T>(N * s.width);
    work.dnormed = memory.take<T>(N * s.width);
    if (!needs.narrow || needs.wide_gate) {
      work.dgate = memory.take<T>(N * 2 * s.feed_forward);
    }
    work.dq = memory.take<T>(N * (query + 2 * key));
    work.dout = memory.take<T>(N * query);
    for (T*& dinner : work.dinner) {
      dinner = memory.take<T>(N * needs.rank);
    }
    work.thin = memory.take<T>(N * needs.rank);
    work.slope = memory.take<T>(widest * needs.rank);
  }
  return work;
}

#define ATTUNE_LAYER(T, K)                                   \
  template KeptLayer<T, K> take_layer(                       \
      Layout&, const DecoderShape&, const std::array<int64_t, kProjections>&, int64_t, int64_t);
ATTUNE_LAYER(float, float)
ATTUNE_LAYER(float, uint16_t)
ATTUNE_LAYER(double, double)
#undef ATTUNE_LAYER

template Work<float> take_work(Layout&, const DecoderShape&, int64_t, const WorkNeeds&);
template Work<double> take_work(Layout&, const DecoderShape&, int64_t, const WorkNeeds&);

at::Tensor take_block(int64_t bytes) {
  const std::lock_guard lock(block_mutex);
  at::Tensor block = std::move(free_block);
  free_block = at::Tensor();
  if (block.defined() && block.numel() >= bytes) {
    return block;
  }
  block = at::Tensor();  // its pages go before new ones come
  return at::empty({bytes}, at::TensorOptions().dtype(at::kByte));
}

void give_block(at::Tensor block) {
  const std::lock_guard lock(block_mutex);
  if (!free_block.defined() || free_block.numel() < block.numel()) {
    free_block = std::move(block);
  }
}

}  // namespace attune::model
