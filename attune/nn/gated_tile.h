// What a gated feed-forward does with a tile of its two products while that is in the first-level
// cache: one call for the tile, since a row of it is too short to be worth one.
#pragma once

#include <cstdint>

namespace attune::nn {

/// A tile of gate and up, and the places of its first number in matrices whose rows are `width`
/// apart. K is T, or uint16_t for bf16 bits.
template <class T, class K>
struct GatedTile {
  int64_t rows = 0;
  int64_t columns = 0;  ///< At most kMostColumns.
  int64_t stride = 0;   ///< Between rows of `gate` and of `up`.
  const T* gate = nullptr;
  const T* up = nullptr;
  int64_t width = 0;
  T* y = nullptr;
  K* kept_gate = nullptr;  ///< For the backward pass, or both null.
  K* kept_up = nullptr;

  static constexpr int64_t kMostColumns = 64;
};

/// y = silu(gate) * up; gate and up are kept.
template <class T, class K>
void gate_tile(const GatedTile<T, K>& tile);

/// A tile of the slopes of y, and the places of its first number in what was kept and in the slopes
/// of gate and up.
template <class T, class K>
struct GatedTileSlopes {
  int64_t rows = 0;
  int64_t columns = 0;  ///< At most GatedTile::kMostColumns.
  int64_t stride = 0;   ///< Between rows of `g`.
  const T* g = nullptr;
  int64_t width = 0;  ///< Between rows of what was kept.
  const K* gate = nullptr;
  const K* up = nullptr;
  int64_t slope_stride = 0;  ///< Between rows of each of the following; those that are null are
                             ///< not asked for. The latter two are bf16 bits.
  T* dgate = nullptr;
  T* dup = nullptr;
  uint16_t* narrow_dgate = nullptr;
  uint16_t* narrow_dup = nullptr;
};

/// The gradients of gate and up.
template <class T, class K>
void gate_tile_backward(const GatedTileSlopes<T, K>& tile);

}  // namespace attune::nn
