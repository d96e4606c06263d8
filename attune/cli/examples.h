// The ready run files of runs/, built into the program.
#pragma once

#include <span>
#include <string_view>

namespace attune::cli {

/// One file of runs/.
struct Example {
  std::string_view name;  ///< "dpo-lora".
  std::string_view text;
};

/// In alphabetical order. Made by cmake/AttunePrograms.cmake.
std::span<const Example> examples();

}  // namespace attune::cli
