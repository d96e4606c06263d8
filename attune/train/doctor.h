// What this machine can do, measured: what `attune doctor` shows. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "attune/train/machine.h"

namespace attune::train {

/// Rates of one matrix product, [rows, in] x [out, in]^T, in GFLOP/s; 0: no such kernel here.
struct ProductRate {
  int64_t rows = 0;
  int64_t in = 0;
  int64_t out = 0;
  double mkl = 0;         ///< f32 by MKL.
  double onednn = 0;      ///< f32 by oneDNN.
  double bf16 = 0;        ///< bf16 numbers, f32 sums, by LibTorch.
  double tiles = 0;       ///< f32 tile by tile, as the layers by hand do it.
  double tiles_bf16 = 0;  ///< The same of bf16 numbers, conversions included; 0: cannot.
};

/// A folder that a run would write to.
struct FolderState {
  std::filesystem::path path;
  bool writable = false;
  std::string reason;      ///< Why not, in the system's words.
  int64_t free_bytes = 0;  ///< Free on its disk for this user.
  double write_mb_s = 0;   ///< Measured, flushed to the disk.
};

/// Everything that was looked at.
struct Diagnosis {
  Machine machine;
  int64_t online_cores = 1;               ///< Cores of the machine that are switched on.
  double allowed_cores = 0;               ///< What the control group grants; 0: no limit.
  double load = 0;                        ///< Programs that run or want to, over the last minute.
  int64_t threads = 1;                    ///< What LibTorch would use by itself.
  std::vector<std::string> instructions;  ///< Of those that matter, what the CPU has.
  std::string mkl;                        ///< Versions, as the libraries name themselves.
  std::string onednn;
  std::vector<ProductRate> products;
  std::string gemm;       ///< What a run with `model.precision: auto` takes, as the run says it.
  std::string gemm_file;  ///< Where that is remembered; empty: nowhere.
  double one_thread = 0;  ///< Rate of the first product on one thread, the better kernel.
  FolderState folder;
  /// Shared libraries that do the work, by file name, with the path that was loaded.
  std::vector<std::pair<std::string, std::string>> libraries;
  std::vector<std::string> advice;  ///< What would make it faster; one line each.
};

/// Looks and measures, in some seconds. @param folder  Where a run would write.
Diagnosis diagnose(const std::filesystem::path& folder);

/// The advice that follows from what was measured.
std::vector<std::string> advice_of(const Diagnosis& found);

}  // namespace attune::train
