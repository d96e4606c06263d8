// Where the project's own files are, for tests that read some. Found at run time: a compiled-in
// path would make every test a new one in another clone.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace attune::tests {

/// The folder above the test program that holds tests/golden, or what ATTUNE_SOURCE_DIR says.
inline std::filesystem::path source_dir() {
  if (const char* const given = std::getenv("ATTUNE_SOURCE_DIR")) {
    return given;
  }
  std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path()) {
    if (std::filesystem::is_directory(folder / "tests" / "golden")) {
      return folder;
    }
  }
  throw std::runtime_error(
      "no folder above this program holds tests/golden: set ATTUNE_SOURCE_DIR");
}

}  // namespace attune::tests
