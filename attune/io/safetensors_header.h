// The JSON header of a safetensors file, read event by event: nothing is built but the list below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "attune/io/dtype.h"

namespace attune::io {

/// Largest header that is read, as in the `safetensors` package.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

/// What the header says of one tensor. Only its form is checked, not its sense.
struct SafetensorsEntry {
  std::string name = {};
  DType dtype = DType::kF32;
  std::vector<int64_t> shape = {};  ///< none is negative
  int64_t begin = 0;                ///< first byte, counted from the header's end; not negative
  int64_t end = 0;                  ///< one past the last byte; not negative
};

/// The header's content, in the order of the file.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Parses the header's text. @throws Error naming file and tensor if it is no JSON, not of the
/// form {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {"key": "text"}}, or has a
/// key twice.
SafetensorsHeader parse_safetensors_header(std::string_view text,
                                           const std::filesystem::path& where);

}  // namespace attune::io
