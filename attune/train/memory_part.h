#pragma once

#include <cstdint>
#include <string>

namespace attune::train {

/// One part of a run's memory, with its name for people.
struct MemoryPart {
  std::string name;
  int64_t bytes = 0;
};

}  // namespace attune::train
