// Files of preferences, one group at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "attune/data/options.h"
#include "attune/data/preference_group.h"

namespace attune::data {

/// Reads a file row by row in constant memory.
class Reader {
 public:
  virtual ~Reader() = default;
  /// The next group, or nothing at the end of the file.
  /// @throws RowError  For a row that cannot be used; the next call goes on behind it.
  /// @throws Error     If the file itself is broken or the disk fails.
  virtual std::optional<PreferenceGroup> next() = 0;
};

/// Opens a file with the reader of options.format; "auto" looks at its first bytes. gzip is undone.
/// @throws Error  If the file is missing (with the nearest name in its folder), empty, of a format
///                that attune does not read, or options.columns names an unknown field.
std::unique_ptr<Reader> open_reader(const std::filesystem::path& path, const DataOptions& options);

/// The names that options.format takes beside "auto", in alphabetical order.
std::vector<std::string_view> reader_formats();

}  // namespace attune::data
