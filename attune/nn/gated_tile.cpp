#include "attune/nn/gated_tile.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "attune/core/clones.h"
#include "attune/nn/gate.h"
#include "attune/tensor/narrow.h"

namespace attune::nn {
namespace {

template <class T, class K>
[[gnu::always_inline]] inline T wide(K x) {
  if constexpr (std::is_same_v<T, K>) {
    return x;
  } else {
    return tensor::from_bf16(x);
  }
}

template <class K, class T>
[[gnu::always_inline]] inline void put(const T* x, int64_t count, K* to) {
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, K>) {
      to[i] = x[i];
    } else {
      to[i] = tensor::to_bf16(static_cast<float>(x[i]));
    }
  }
}

template <class T, class K>
[[gnu::always_inline]] inline void gate_body(const GatedTile<T, K>& tile) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const T* const gate = tile.gate + r * tile.stride;
    const T* const up = tile.up + r * tile.stride;
    T* const y = tile.y + r * tile.width;
#pragma omp simd
    for (int64_t c = 0; c < tile.columns; ++c) {
      y[c] = gated(gate[c], up[c]);
    }
    if (tile.kept_gate != nullptr) {
      put(gate, tile.columns, tile.kept_gate + r * tile.width);
      put(up, tile.columns, tile.kept_up + r * tile.width);
    }
  }
}

template <class T, class K>
[[gnu::always_inline]] inline void backward_body(const GatedTileSlopes<T, K>& tile) {
  std::array<T, GatedTile<T, K>::kMostColumns> dgate;
  std::array<T, GatedTile<T, K>::kMostColumns> dup;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const T* const g = tile.g + r * tile.stride;
    const K* const gates = tile.gate + r * tile.width;
    const K* const ups = tile.up + r * tile.width;
#pragma omp simd
    for (int64_t c = 0; c < tile.columns; ++c) {
      const auto at = static_cast<size_t>(c);
      gated_backward(g[c], wide<T>(gates[c]), wide<T>(ups[c]), dgate[at], dup[at]);
    }
    const int64_t to = r * tile.slope_stride;
    if (tile.dgate != nullptr) {
      put(dgate.data(), tile.columns, tile.dgate + to);
      put(dup.data(), tile.columns, tile.dup + to);
    }
    if (tile.narrow_dgate != nullptr) {
      put(dgate.data(), tile.columns, tile.narrow_dgate + to);
      put(dup.data(), tile.columns, tile.narrow_dup + to);
    }
  }
}

}  // namespace

// target_clones cannot stand on a template: the instances are written out.
#define ATTUNE_INSTANCES(T, K)                                                           \
  ATTUNE_CLONES static void gate_##T##_##K(const GatedTile<T, K>& tile) {                \
    gate_body(tile);                                                                     \
  }                                                                                      \
  ATTUNE_CLONES static void gate_backward_##T##_##K(const GatedTileSlopes<T, K>& tile) { \
    backward_body(tile);                                                                 \
  }                                                                                      \
  template <>                                                                            \
  void gate_tile(const GatedTile<T, K>& tile) {                                          \
    gate_##T##_##K(tile);                                                                \
  }                                                                                      \
  template <>                                                                            \
  void gate_tile_backward(const GatedTileSlopes<T, K>& tile) {                           \
    gate_backward_##T##_##K(tile);                                                       \
  }

ATTUNE_INSTANCES(float, float)
ATTUNE_INSTANCES(float, uint16_t)
ATTUNE_INSTANCES(double, double)

#undef ATTUNE_INSTANCES

}  // namespace attune::nn
