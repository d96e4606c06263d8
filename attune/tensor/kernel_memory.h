#pragma once

#include <cstdint>
#include <filesystem>

#include "attune/tensor/gemm.h"

namespace attune::tensor {

/// choose_gemm_kernel, measured once per machine: the choice is kept in a small text file, keyed by
/// CPU, LibTorch's version, threads and shape, so that two runs of one machine use one kernel and
/// give the same bits. A file that cannot be read or written only means to measure again.
///
/// @param file  Usually kernel_memory_file().
GemmChoice remembered_gemm_kernel(const std::filesystem::path& file,
                                  int64_t rows,
                                  int64_t in,
                                  int64_t out);

/// $XDG_CACHE_HOME/attune/kernels.txt, or ~/.cache/attune/kernels.txt; empty if neither is set.
std::filesystem::path kernel_memory_file();

}  // namespace attune::tensor
