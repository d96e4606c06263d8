// Attention of single query rows over caches of keys and values, as a step of writing text needs
// it.
#pragma once

#include <cstdint>
#include <span>

namespace attune::nn {

/// One query row and what it sees.
struct CacheRow {
  const float* q = nullptr;       ///< [H, E], rotated.
  const float* keys = nullptr;    ///< [G, room, E], of which the first T of each head are seen.
  const float* values = nullptr;  ///< Likewise.
  int64_t room = 0;
  int64_t T = 0;         ///< Above 0.
  float* out = nullptr;  ///< [H, E]
};

/// What all rows share.
struct CacheHeads {
  int64_t H = 0;
  int64_t G = 0;  ///< Divides H: query head h reads key head h / (H / G).
  int64_t E = 0;
};

/// out = softmax(q K^T / sqrt(E)) V for each row and head, on all threads. A row's result depends
/// neither on the other rows nor on the threads.
void attend_caches(std::span<const CacheRow> rows, const CacheHeads& heads);

}  // namespace attune::nn
