// Bytes and files for the tests of this room.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"
#include "attune/core/file.h"

#include "tests/source_dir.h"

namespace attune::io {

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// A number's bytes, little-endian.
template <class T>
std::string packed(T number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

/// A safetensors file: the header's length, the header, the data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  return packed<uint64_t>(header.size()) + std::string(header) + std::string(data);
}

/// The message of the Error that `action` throws, or "no error".
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// A path in the test's own temporary folder, which is made.
inline std::filesystem::path temp_path(std::string_view file) {
  const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) /
      fmt::format("io_{}_{}", info->test_suite_name(), info->name());
  std::filesystem::create_directories(folder);
  return folder / file;
}

/// The folder of real data, see ATTUNE_TEST_DATA.
inline std::filesystem::path test_data() {
  const char* const given = std::getenv("ATTUNE_TEST_DATA");
  return given != nullptr ? given : (tests::source_dir() / "../shared/data").string();
}

inline std::filesystem::path golden(std::string_view file) {
  return tests::source_dir() / "tests" / "golden" / file;
}

}  // namespace attune::io
