#include "attune/model/trunk_memory.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <new>
#include <utility>

namespace attune::model {
namespace {

std::mutex block_mutex;
tensor::Pages free_block;  // guarded by block_mutex

using Ranks = std::array<int64_t, kProjections>;

template <class T, class K>
KeptLayer<T, K> take_layer(
    Layout& memory, const DecoderShape& s, const Ranks& ranks, int64_t N, int64_t M) {
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
Work<T> take_work(Layout& memory, const DecoderShape& s, const TrunkNeeds& needs, int64_t rank) {
  const int64_t N = needs.N;
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
  if (needs.trains) {
    work.dx = memory.take<T>(N * s.width);
    work.dnormed = memory.take<T>(N * s.width);
    if (!needs.narrow || needs.wide_gate) {
      work.dgate = memory.take<T>(N * 2 * s.feed_forward);
    }
    work.dq = memory.take<T>(N * (query + 2 * key));
    work.dout = memory.take<T>(N * query);
    for (T*& dinner : work.dinner) {
      dinner = memory.take<T>(N * rank);
    }
    work.slope = memory.take<T>(widest * rank);
  }
  return work;
}

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

bool any_trained(const DecoderLayer& layer, bool adapters) {
  bool any = carries(layer.input_layernorm) || carries(layer.post_attention_layernorm) ||
             carries(layer.q_norm) || carries(layer.k_norm);
  for (const adapter::Linear* linear : projections(layer)) {
    any =
        any || (linear->lora && adapters) || carries(linear->weight_OI) || carries(linear->bias_O);
  }
  return any;
}

template <class T, class K>
TrunkLayout<T, K> lay_out(Layout& memory, const DecoderShape& shape, const TrunkNeeds& needs) {
  const int64_t L = shape.layers;
  const int64_t first = std::max<int64_t>(needs.lowest, 0);
  Ranks largest{};
  for (const Ranks& ranks : needs.ranks) {
    std::transform(
        ranks.begin(), ranks.end(), largest.begin(), largest.begin(), [](int64_t a, int64_t b) {
          return std::max(a, b);
        });
  }
  TrunkLayout<T, K> all;
  all.work = take_work<T>(memory, shape, needs, *std::max_element(largest.begin(), largest.end()));
  all.last_UD = memory.take<T>(needs.U * shape.width);
  all.rstd_last = memory.take<T>(needs.U);
  if (needs.trains && !needs.recompute && first < L) {
    for (int64_t i = first; i < L; ++i) {
      // Layers below the first one that is kept use its slot, so it has room for any.
      const int64_t M = i == first || i + 1 < L ? needs.N : needs.U;
      all.slots.push_back(
          take_layer<T, K>(memory, shape, needs.ranks[static_cast<size_t>(i)], needs.N, M));
    }
    return all;
  }
  all.slots.push_back(take_layer<T, K>(memory, shape, largest, needs.N, needs.N));
  for (int64_t i = 0; i < L && needs.trains && needs.recompute; ++i) {
    all.inputs.push_back(i < first ? nullptr : memory.take<T>(needs.N * shape.width));
  }
  return all;
}

template TrunkLayout<float, float> lay_out(Layout&, const DecoderShape&, const TrunkNeeds&);
template TrunkLayout<float, uint16_t> lay_out(Layout&, const DecoderShape&, const TrunkNeeds&);
template TrunkLayout<double, double> lay_out(Layout&, const DecoderShape&, const TrunkNeeds&);

int64_t trunk_bytes(const DecoderShape& shape, const TrunkNeeds& needs) {
  Layout memory;
  if (needs.rounds) {
    lay_out<float, uint16_t>(memory, shape, needs);
  } else {
    lay_out<float, float>(memory, shape, needs);
  }
  return memory.used();
}

tensor::Pages take_block(int64_t bytes) {
  const std::lock_guard lock(block_mutex);
  tensor::Pages block = std::move(free_block);
  if (block.size() >= bytes) {
    return block;
  }
  block = tensor::Pages();  // its pages go before new ones come
  // A batch that is a little longer than the longest so far shall find room, if the system gives
  // it: pages that nobody writes to are never there, but may count where memory is limited.
  try {
    return tensor::Pages(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(bytes))));
  } catch (const std::bad_alloc&) {
    return tensor::Pages(bytes);
  }
}

void give_block(tensor::Pages block) {
  const std::lock_guard lock(block_mutex);
  if (free_block.size() < block.size()) {
    free_block = std::move(block);
  }
}

}  // namespace attune::model
