#include "attune/train/machine.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <sched.h>

#include <ATen/Version.h>
#include <torch/csrc/api/include/torch/version.h>

namespace attune::train {
namespace {

// The number after `key` in a file of "key: value" lines, in its own unit; 0 if there is none.
int64_t number_after(const char* file, const std::string& key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with(key)) {
      std::istringstream rest(line.substr(key.size()));
      int64_t value = 0;
      rest >> value;
      return value;
    }
  }
  return 0;
}

int64_t group_limit_bytes() {
  for (const char* file :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream in(file);
    int64_t limit = 0;
    if (in >> limit && limit > 0) {
      return limit;
    }
  }
  return INT64_MAX;
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

int64_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

Machine this_machine() {
  const int64_t total = number_after("/proc/meminfo", "MemTotal:") * 1024;
  return {.cpu = cpu_name(),
          .cores = usable_cores(),
          .memory_bytes = std::min(total, group_limit_bytes()),
          .available_bytes =
              std::min(number_after("/proc/meminfo", "MemAvailable:") * 1024, group_limit_bytes()),
          .torch = TORCH_VERSION,
          .instructions = at::get_cpu_capability()};
}

int64_t peak_memory_bytes() {
  return number_after("/proc/self/status", "VmHWM:") * 1024;
}

}  // namespace attune::train
