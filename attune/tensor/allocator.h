// Where LibTorch's CPU tensors live.
//
// A training step makes and frees the same few hundred large tensors again and again. The C
// library's heap keeps them in one piece that it cuts up: after some steps of SmolLM2 it held 1.97
// GB for 1.28 GB of tensors. Giving every large tensor pages of its own keeps memory at what is
// used, but fresh pages cost more than the arithmetic that fills them. So freed blocks are kept and
// used again, as long as they and the tensors alive are together no more than the tensors alive
// once were.
#pragma once

#include <cstdint>

namespace attune::tensor {

/// From now on CPU tensors of 256 KiB and more come from a cache of blocks; smaller ones from the
/// heap as before. For the whole process, so for programs only, at their start. Tensors made before
/// stay valid. A second call does nothing.
void use_block_cache();

/// What the cache holds, in bytes of whole blocks.
struct BlockCacheState {
  int64_t live = 0;    ///< In use by tensors.
  int64_t kept = 0;    ///< Freed, kept for reuse.
  int64_t peak = 0;    ///< The most that was ever live; live + kept is never more.
  int64_t mapped = 0;  ///< Blocks that were asked of the system so far.
  int64_t reused = 0;  ///< Blocks that were given out again so far.
};
BlockCacheState block_cache_state();

}  // namespace attune::tensor
