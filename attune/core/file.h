// Files written whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "attune/core/stop.h"

namespace attune {

/// The file's bytes. @throws Error if it cannot be read, naming the path and the system's reason.
std::string read_file(const std::filesystem::path& path);

/// Writes beside `path`, flushes to the disk and renames: a reader sees the old file or the new
/// one.
/// @throws Error with the system's reason (no space, no permission); the old file is then untouched
/// and nothing half written is left.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// An output file for large content, in pieces, with the same promise: the destructor removes the
/// piece that was not committed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Flushes to the disk and gives the file its name.
  void commit();

 private:
  std::filesystem::path path_;
  Temporary temporary_;
  int descriptor_ = -1;
};

/// Fills a new folder by `fill(temporary)` and renames it to `path`, all files flushed to the disk
/// first. An older folder at `path` is replaced in one step: a reader, or whoever comes after a
/// crash, finds the old folder or the new one.
/// @throws Error with the system's reason; the old folder is then untouched and nothing half
/// written is left. What `fill` throws goes on, an Error with `path` for the temporary name.
void write_folder(const std::filesystem::path& path,
                  const std::function<void(const std::filesystem::path&)>& fill);

}  // namespace attune
