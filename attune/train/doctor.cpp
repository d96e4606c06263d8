#include "attune/train/doctor.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/tensor/gemm.h"
#include "attune/tensor/kernel_memory.h"
#include "attune/tensor/tiles.h"

namespace attune::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A layer of a small model, one of a model of 1 B weights, and the head on one tile of rows.
constexpr std::array<std::array<int64_t, 3>, 3> kShapes{
    {{1024, 576, 1536}, {512, 2048, 5632}, {128, 576, 49152}}};

double bf16_rate(int64_t rows, int64_t in, int64_t out) {
  const at::Tensor x_MI = at::ones({rows, in}, at::kBFloat16);
  const at::Tensor w_OI = at::ones({out, in}, at::kBFloat16);
  double best_s = 1e9;
  for (int run = 0; run < 6; ++run) {
    const auto start = Clock::now();
    at::mm(x_MI, w_OI.t());
    best_s = std::min(best_s, seconds_since(start));
  }
  return 2e-9 * static_cast<double>(rows * in) * static_cast<double>(out) / best_s;
}

std::vector<ProductRate> measure_products() {
  std::vector<ProductRate> rates;
  for (const auto& [rows, in, out] : kShapes) {
    rates.push_back({.rows = rows,
                     .in = in,
                     .out = out,
                     .mkl = tensor::measure_gemm(tensor::GemmKernel::kMkl, rows, in, out),
                     .onednn = tensor::measure_gemm(tensor::GemmKernel::kOneDnn, rows, in, out),
                     .bf16 = bf16_rate(rows, in, out),
                     .tiles = tensor::measure_tiles(rows, in, out, at::kFloat),
                     .tiles_bf16 = tensor::measure_tiles(rows, in, out, at::kBFloat16)});
  }
  return rates;
}

double one_thread_rate(int64_t threads) {
  const auto& [rows, in, out] = kShapes[0];
  at::set_num_threads(1);
  const double rate = tensor::choose_gemm_kernel(rows, in, out).gflops;
  at::set_num_threads(static_cast<int>(threads));
  return rate;
}

std::vector<std::string> instruction_sets() {
  static constexpr std::array<std::string_view, 7> kKnown{
      "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"};
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line) && !line.starts_with("flags")) {
  }
  std::istringstream words(line);
  std::set<std::string> flags;
  for (std::string word; words >> word;) {
    flags.insert(word);
  }
  std::vector<std::string> found;
  for (const std::string_view name : kKnown) {
    if (flags.contains(std::string(name))) {
      found.emplace_back(name);
    }
  }
  return found;
}

// "max 100000", or "150000 100000" for one and a half cores.
double group_cores() {
  std::ifstream in("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  return in >> quota >> period && period > 0 ? quota / period : 0;
}

double load_average() {
  std::ifstream in("/proc/loadavg");
  double load = 0;
  in >> load;
  return load;
}

FolderState look_at(const fs::path& folder) {
  FolderState state;
  state.path = folder;
  const fs::path file = folder / ".attune-doctor";
  try {
    state.free_bytes = static_cast<int64_t>(fs::space(folder).available);
    const std::string bytes(size_t{32} << 20, 'a');
    const auto start = Clock::now();
    write_file(file, bytes);
    state.write_mb_s = static_cast<double>(bytes.size()) / 1e6 / seconds_since(start);
    state.writable = true;
  } catch (const std::exception& e) {
    state.reason = e.what();
  }
  std::error_code ignored;
  fs::remove(file, ignored);
  return state;
}

// The libraries of this process that compute or run threads.
std::vector<std::pair<std::string, std::string>> loaded_libraries() {
  static constexpr std::array<std::string_view, 6> kWanted{
      "libtorch_cpu", "libc10", "libgomp", "libiomp", "libmkl", "libopenblas"};
  std::ifstream in("/proc/self/maps");
  std::set<std::pair<std::string, std::string>> found;
  for (std::string line; std::getline(in, line);) {
    const size_t slash = line.find('/');
    if (slash == std::string::npos) {
      continue;
    }
    const fs::path path = line.substr(slash);
    const std::string name = path.filename().string();
    if (std::ranges::any_of(kWanted, [&](auto wanted) { return name.starts_with(wanted); })) {
      found.emplace(name, path.string());
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace

std::vector<std::string> advice_of(const Diagnosis& found) {
  std::vector<std::string> advice;
  const Machine& m = found.machine;
  const auto cores = static_cast<double>(m.cores);
  const auto has = [&](const char* name) {
    return std::ranges::find(found.instructions, name) != found.instructions.end();
  };
  if (found.load > cores + 1) {
    advice.push_back(
        fmt::format("{:.0f} programs share {} cores: what was measured is too low, and a run will "
                    "be slow. Wait for the others or end them",
                    found.load,
                    m.cores));
  }
  if (found.threads < m.cores) {
    advice.push_back(
        fmt::format("LibTorch would use {} threads on {} cores: OMP_NUM_THREADS or "
                    "MKL_NUM_THREADS is set. attune train goes by train.threads instead",
                    found.threads,
                    m.cores));
  }
  if (m.cores < found.online_cores) {
    advice.push_back(fmt::format("this process may use {} of {} cores (taskset, or a scheduler)",
                                 m.cores,
                                 found.online_cores));
  }
  if (found.allowed_cores > 0 && found.allowed_cores < cores) {
    advice.push_back(fmt::format("the container grants {:.1f} cores of {}: set train.threads to {}",
                                 found.allowed_cores,
                                 m.cores,
                                 std::max<int64_t>(1, static_cast<int64_t>(found.allowed_cores))));
  }
  if (m.instructions == "DEFAULT" && has("avx2")) {
    advice.emplace_back(
        "LibTorch does not use this CPU's AVX2: ATEN_CPU_CAPABILITY is set, or the wheel is not "
        "the usual one");
  }
  const auto count = std::ranges::count_if(found.libraries, [](const auto& library) {
    return library.first.starts_with("libgomp") || library.first.starts_with("libiomp");
  });
  if (count > 1) {
    advice.emplace_back("two OpenMP runtimes are loaded and fight for the cores; unset LD_PRELOAD");
  }
  if (!found.products.empty() && found.one_thread > 0) {
    const ProductRate& first = found.products[0];
    const double all = std::max(first.mkl, first.onednn);
    if (cores > 1 && all < 0.55 * cores * found.one_thread && found.load <= cores + 1) {
      advice.push_back(
          fmt::format("{} threads reach only {:.1f} times one thread's rate: the cores are "
                      "hyper-threads, or shared with other machines",
                      m.cores,
                      all / found.one_thread));
    }
  }
  if (!found.folder.writable) {
    advice.push_back(found.folder.reason);
  } else if (found.folder.free_bytes < 2'000'000'000) {
    advice.push_back(fmt::format("{}: less than 2 GB free; checkpoints may not fit",
                                 found.folder.path.string()));
  }
  if (m.available_bytes < m.memory_bytes / 4) {
    advice.emplace_back(
        "three quarters of the memory are in use; attune plan RUN.yaml says what a run needs");
  }
  return advice;
}

Diagnosis diagnose(const fs::path& folder) {
  Diagnosis found;
  found.load = load_average();  // before this adds to it
  found.machine = this_machine();
  found.online_cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  if (std::ifstream in("/sys/devices/system/cpu/online"); in) {
    int64_t first = 0;
    int64_t last = 0;
    char dash = 0;
    if (in >> first >> dash >> last && dash == '-') {
      found.online_cores = last - first + 1;
    }
  }
  found.allowed_cores = group_cores();
  found.threads = at::get_num_threads();
  at::set_num_threads(static_cast<int>(found.machine.cores));
  found.instructions = instruction_sets();
  found.mkl = at::get_mkl_version();
  found.onednn = at::get_mkldnn_version();
  found.products = measure_products();
  const auto& [rows, in, out] = kShapes[0];
  found.gemm_file = tensor::kernel_memory_file().string();
  found.gemm = tensor::text_of(tensor::choose_products(
      tensor::remembered_gemm_kernel(found.gemm_file, rows, in, out), "auto"));
  found.one_thread = one_thread_rate(found.machine.cores);
  found.folder = look_at(folder);
  found.libraries = loaded_libraries();
  found.advice = advice_of(found);
  return found;
}

}  // namespace attune::train
