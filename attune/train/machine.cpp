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

// The first number of the first of the files that is there, or `otherwise`.
int64_t first_number(std::initializer_list<const char*> files, int64_t otherwise) {
  for (const char* file : files) {
    std::ifstream in(file);
    int64_t number = 0;
    if (in >> number && number > 0) {
      return number;
    }
  }
  return otherwise;
}

int64_t group_limit_bytes() {
  return first_number({"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
                      INT64_MAX);
}

// What the control group may still take: files that were read may go.
int64_t group_free_bytes() {
  const int64_t limit = group_limit_bytes();
  const int64_t used = first_number(
      {"/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}, 0);
  const int64_t files =
      std::max(number_after("/sys/fs/cgroup/memory.stat", "inactive_file"),
               number_after("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file"));
  return limit == INT64_MAX ? limit : std::max<int64_t>(0, limit - used + files);
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
              std::min(number_after("/proc/meminfo", "MemAvailable:") * 1024, group_free_bytes()),
          .torch = TORCH_VERSION,
          .instructions = at::get_cpu_capability()};
}

int64_t peak_memory_bytes() {
  return number_after("/proc/self/status", "VmHWM:") * 1024;
}

}  // namespace attune::train
