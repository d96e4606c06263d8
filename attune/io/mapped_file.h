// A file seen as bytes in memory, without reading it first.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace attune::io {

/// A read-only private mapping of a whole file; pages are read when they are touched. An empty file
/// has no bytes. Truncating the file while it is mapped is the owner's fault and ends in SIGBUS.
class MappedFile {
 public:
  /// @throws Error naming the path if it is missing, not a regular file or cannot be mapped.
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// The file's bytes; valid while this object lives. Page-aligned, never moves.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return bytes_;
  }
  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

  /// Asks the system to start reading the whole file in; a hint that cannot fail.
  void prefetch() const;
  /// Gives the memory back that the file's pages take in this process; they are read again when
  /// they are touched.
  void release() const;

 private:
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace attune::io
