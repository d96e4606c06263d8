// How attention over a token tree is cut into work: blocks of queries, and tasks for threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attune/tensor/tree.h"

namespace attune::nn {

/// Keys [begin, end) that a block of queries sees, and the column where their scores start.
struct KeyBlock {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t column = 0;
};

/// At most 64 consecutive queries of one segment, and all the keys that they see: those of the
/// ancestors, and of the segment itself up to the block's last token, where the last
/// end - begin columns are a triangle.
struct QueryBlock {
  int64_t begin = 0;
  int64_t end = 0;
  std::vector<KeyBlock> keys;
  int64_t width = 0;  ///< Columns of scores: the keys' lengths together.
};

/// Tokens [begin, end) of one segment.
struct FamilySegment {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Queries that are taken together, and all the keys that they see: subtrees of segments, or part
/// of the blocks of one segment where that alone is too much for one task.
struct AttentionFamily {
  /// In ascending order, those first that other families have, too: ancestors, or the segment that
  /// the blocks are part of.
  std::vector<FamilySegment> segments;
  size_t shared = 0;  ///< How many of them are.
  int64_t shared_tokens = 0;
  std::vector<QueryBlock> blocks;
  int64_t cost = 0;  ///< Query-key products.
};

/// One key/value head of one family. Gradients of the keys and values of its own segments come from
/// this task and, after it, from families that share them.
struct AttentionTask {
  size_t family = 0;
  int64_t kv_head = 0;
  int64_t cost = 0;
};

/// The work of one pass.
struct AttentionPlan {
  std::vector<AttentionFamily> families;
  std::vector<AttentionTask> tasks;  ///< The longest first.
};

/// @param G        key/value heads.
/// @param queries  Tokens whose attention is asked for, ascending; empty: all. Blocks hold few
///                 others, and of those that no block holds nothing is computed.
AttentionPlan plan_attention(const tensor::Tree& tree,
                             int64_t G,
                             std::span<const int64_t> queries = {});

}  // namespace attune::nn
