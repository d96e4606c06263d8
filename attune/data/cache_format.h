// The token cache's file, little-endian:
//
//   kMagic · blocks · padding to 8 · index records · names (JSON) · report (JSON) · footer
//
// A group's block: prompt ids, K lengths, ids of the K completions, comparisons (16 bytes each), K
// scores, K numbers for each named value, K weights of labels, K labels of one byte, "file:line",
// padding to 4. Written front to back, so that a builder needs no memory of it. The names are those
// of the values, in the order of their numbers, and those of the tags.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace attune::data {

static_assert(std::endian::native == std::endian::little, "token caches are little-endian");

inline constexpr std::string_view kCacheMagic = "attune tokens 3\n";
/// Part of every cache key: a change of format or of the meaning of a row makes new caches.
inline constexpr int64_t kCacheVersion = 3;
/// The checksum is taken over pieces of this size.
inline constexpr size_t kCachePiece = size_t{1} << 20;

/// The beginning of the magic of every version.
inline constexpr std::string_view kCacheName = "attune tokens ";
/// More tags than this are no tags: they are kept in memory.
inline constexpr size_t kMaxTags = 65536;

/// What a block holds, and what its group is good for (GroupItems).
enum CacheFlag : uint32_t {
  kHasLabels = 1,
  kHasScores = 2,
  kHasValues = 4,
  kCompared = 8,
  kDesirable = 16,
  kUndesirable = 32,
  kRanked = 64,
  kScored = 128,
  kHasLabelWeights = 256,
};

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
  uint32_t tag = 0;    ///< From 1 on, in the order of the names; 0: none.
  uint32_t flags = 0;  ///< CacheFlag, added up.
};
static_assert(sizeof(IndexRecord) == 56);

/// The last bytes of the file.
struct CacheFooter {
  std::array<char, 32> key = {};
  uint64_t num_groups = 0;
  uint64_t total_tokens = 0;
  uint64_t total_comparisons = 0;
  uint64_t index_offset = 0;
  uint64_t names_size = 0;
  uint64_t report_size = 0;
  uint64_t checksum = 0;  ///< Of all bytes before it.
};
static_assert(sizeof(CacheFooter) == 88);

}  // namespace attune::data
