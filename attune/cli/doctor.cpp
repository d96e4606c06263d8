// attune doctor: what this machine can do, measured.
#include "attune/train/doctor.h"

#include <array>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/cli/command_line.h"
#include "attune/cli/engine_commands.h"
#include "attune/core/error.h"
#include "attune/core/version.h"

namespace attune::cli {
namespace {

constexpr Usage kUsage{
    .name = "doctor",
    .synopsis = "[FOLDER]",
    .about =
        "Looks at the machine and measures it: cores, memory, libraries, the rate of matrix "
        "products by each kernel, the disk of FOLDER (here, without one). Then it says what would "
        "make a run faster. Takes some seconds.",
    .examples = "attune doctor\nattune doctor /data/runs",
    .most = 1};

void row(std::string_view name, const std::string& value) {
  fmt::print("  {:<14}{}\n", name, value);
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string rate_text(double rate) {
  return rate > 0 ? fmt::format("{:.0f}", rate) : "none";
}

void print_machine(const train::Diagnosis& found) {
  const train::Machine& m = found.machine;
  fmt::print("machine\n");
  row("CPU", m.cpu);
  row("cores",
      fmt::format(
          "{} of {}{}; {:.1f} programs running",
          m.cores,
          found.online_cores,
          found.allowed_cores > 0 ? fmt::format(", {:.1f} granted", found.allowed_cores) : "",
          found.load));
  row("instructions",
      fmt::format("{}; LibTorch uses {}", fmt::join(found.instructions, " "), m.instructions));
  row("memory",
      fmt::format("{}, {} free", size_text(m.memory_bytes), size_text(m.available_bytes)));
  row("attune", std::string(kVersion));
  row("LibTorch", m.torch);
  row("MKL", first_line(found.mkl));
  row("oneDNN", first_line(found.onednn));
}

void print_products(const train::Diagnosis& found) {
  fmt::print("\nmatrix products, GFLOP/s on {} threads\n", found.machine.cores);
  const auto line = [](std::string_view shape, const std::array<std::string, 5>& cells) {
    fmt::print("  {:<26}{:>10}{:>12}{:>11}{:>8}{:>12}\n",
               shape,
               cells[0],
               cells[1],
               cells[2],
               cells[3],
               cells[4]);
  };
  line("", {"MKL f32", "oneDNN f32", "tiles f32", "bf16", "tiles bf16"});
  for (const train::ProductRate& rate : found.products) {
    line(fmt::format("{} rows, {} to {}", rate.rows, rate.in, rate.out),
         {rate_text(rate.mkl),
          rate_text(rate.onednn),
          rate_text(rate.tiles),
          rate_text(rate.bf16),
          rate_text(rate.tiles_bf16)});
  }
  fmt::print("  attune trains with: {}; one thread alone: {:.0f}\n", found.gemm, found.one_thread);
  if (!found.gemm_file.empty()) {
    fmt::print("  remembered in {}; without it the next run measures anew\n", found.gemm_file);
  }
}

void print_rest(const train::Diagnosis& found) {
  const train::FolderState& folder = found.folder;
  fmt::print("\ndisk\n");
  if (folder.writable) {
    row("folder", fmt::format("{}: writable", folder.path.string()));
    row("free", size_text(folder.free_bytes));
    row("writes", fmt::format("{:.0f} MB/s, flushed", folder.write_mb_s));
  } else {
    row("folder", folder.reason);
  }
  fmt::print("\nlibraries\n");
  for (const auto& [name, path] : found.libraries) {
    fmt::print("  {}\n", path);
  }
  fmt::print("\n");
  for (const std::string& line : found.advice) {
    fmt::print("advice: {}\n", line);
  }
  if (found.advice.empty()) {
    fmt::print("nothing to mend\n");
  }
}

}  // namespace

int doctor_command(Arguments arguments) {
  CommandLine line(kUsage);
  if (!line.parse(arguments)) {
    return kGood;
  }
  const std::string folder = line.positional(0, std::filesystem::current_path().string());
  check(std::filesystem::is_directory(folder), "{}: no such folder", folder);
  const train::Diagnosis found = train::diagnose(folder);
  print_machine(found);
  print_products(found);
  print_rest(found);
  return kGood;
}

}  // namespace attune::cli
