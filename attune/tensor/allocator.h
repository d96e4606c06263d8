// Where LibTorch's CPU tensors live.
//
// A training step makes and frees the same few hundred large tensors again and again. The C
// library's heap keeps them in one piece that it cuts up: after some steps of SmolLM2 it held 1.97
// GB for 1.28 GB of tensors. Giving every large tensor pages of its own keeps memory at what is
// used, but fresh pages cost more than the arithmetic that fills them. So freed blocks are kept,
// cut up and joined for the next tensors: a step whose batch is no larger than those before finds
// all of its memory there and asks the system for nothing.
#pragma once

#include <cstdint>

namespace attune::tensor {

/// From now on CPU tensors of 256 KiB and more come from a cache of blocks; smaller ones from the
/// heap as before, which now keeps up to 32 MiB that are free at its end. For the whole process, so
/// for programs only, at their start. Tensors made before stay valid. A second call does nothing.
void use_block_cache();

/// What the cache holds, in bytes of whole blocks.
struct BlockCacheState {
  int64_t live = 0;    ///< In use by tensors.
  int64_t kept = 0;    ///< Freed, kept for reuse.
  int64_t peak = 0;    ///< The most that was ever live; live + kept are at most a quarter more.
  int64_t fresh = 0;   ///< Blocks so far that pages of the system were taken for.
  int64_t reused = 0;  ///< Blocks so far that kept pages were enough for.
};
BlockCacheState block_cache_state();

}  // namespace attune::tensor
