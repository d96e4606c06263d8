// What this machine is.
#pragma once

#include <cstdint>
#include <string>

namespace attune::train {

/// Facts of the machine that a run prints and keeps.
struct Machine {
  std::string cpu;              ///< As /proc/cpuinfo calls it.
  int64_t cores = 1;            ///< Cores that this process may use.
  int64_t memory_bytes = 0;     ///< Memory that this process may use: the smaller of the machine's
                                ///< and its control group's.
  int64_t available_bytes = 0;  ///< Memory free for new use right now.
  std::string torch;            ///< LibTorch's version.
  std::string instructions;     ///< "AVX512", "AVX2" or "DEFAULT".
};

Machine this_machine();

/// The most memory that this process ever held, in bytes.
int64_t peak_memory_bytes();

}  // namespace attune::train
