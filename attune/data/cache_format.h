// The token cache's file, little-endian:
//
//   kMagic · blocks · padding to 8 · index records · report (JSON) · footer
//
// A group's block: prompt ids, K lengths, ids of the K completions, comparisons (16 bytes each),
// "file:line", padding to 4. Written front to back, so that a builder needs no memory of it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace attune::data {

static_assert(std::endian::native == std::endian::little, "token caches are little-endian");

inline constexpr std::string_view kCacheMagic = "attune tokens 1\n";
/// Part of every cache key: a change of format or of the meaning of a row makes new caches.
inline constexpr int64_t kCacheVersion = 1;
/// The checksum is taken over pieces of this size.
inline constexpr size_t kCachePiece = size_t{1} << 20;

/// Where a group's block is, and what can be known without reading it.
struct IndexRecord {
  uint64_t offset = 0;
  uint64_t key = 0;
  uint64_t prompt_hash = 0;
  uint64_t num_tokens = 0;
  uint32_t prompt_size = 0;
  uint32_t num_completions = 0;
  uint32_t num_comparisons = 0;
  uint32_t where_size = 0;
};
static_assert(sizeof(IndexRecord) == 48);

/// The last bytes of the file.
struct CacheFooter {
  std::array<char, 32> key = {};
  uint64_t num_groups = 0;
  uint64_t total_tokens = 0;
  uint64_t total_comparisons = 0;
  uint64_t index_offset = 0;
  uint64_t report_size = 0;
  uint64_t checksum = 0;  ///< Of all bytes before it.
};
static_assert(sizeof(CacheFooter) == 80);

}  // namespace attune::data
