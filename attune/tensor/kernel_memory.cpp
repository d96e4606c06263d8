#include "attune/tensor/kernel_memory.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/csrc/api/include/torch/version.h>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hash.h"

namespace attune::tensor {
namespace {

namespace fs = std::filesystem;

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("model name") || line.starts_with("flags")) {
      return line;
    }
  }
  return "";
}

std::string key_of(int64_t rows, int64_t in, int64_t out) {
  return Hasher()
      .add(cpu_name())
      .add(TORCH_VERSION)
      .add(at::get_cpu_capability())
      .add(int64_t{at::get_num_threads()})
      .add(rows)
      .add(in)
      .add(out)
      .hex();
}

}  // namespace

fs::path kernel_memory_file() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache != '\0') {
    return fs::path(cache) / "attune" / "kernels.txt";
  }
  return home != nullptr && *home != '\0' ? fs::path(home) / ".cache/attune/kernels.txt"
                                          : fs::path();
}

GemmChoice remembered_gemm_kernel(const fs::path& file, int64_t rows, int64_t in, int64_t out) {
  const std::string key = key_of(rows, in, out);
  std::string kept;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string line_key;
    std::string kernel;
    double gflops = 0;
    double narrow = 0;
    double tiles = 0;
    double narrow_tiles = 0;
    if (words >> line_key >> kernel >> gflops >> narrow >> tiles >> narrow_tiles && gflops > 0) {
      if (line_key == key &&
          (kernel == name(GemmKernel::kMkl) || kernel == name(GemmKernel::kOneDnn))) {
        return {.kernel = gemm_kernel_named(kernel),
                .gflops = gflops,
                .narrow_gflops = narrow,
                .tile_gflops = tiles,
                .tile_narrow_gflops = narrow_tiles};
      }
      kept += line + "\n";
    }
  }
  const GemmChoice choice = choose_gemm_kernel(rows, in, out);
  if (!file.empty()) {
    try {
      fs::create_directories(file.parent_path());
      write_file(file,
                 fmt::format("{}{} {} {:.1f} {:.1f} {:.1f} {:.1f}\n",
                             kept,
                             key,
                             name(choice.kernel),
                             choice.gflops,
                             choice.narrow_gflops,
                             choice.tile_gflops,
                             choice.tile_narrow_gflops));
    } catch (const std::exception&) {
      // Remembering is a convenience: without it the next start measures again.
      return choice;
    }
  }
  return choice;
}

}  // namespace attune::tensor
