// A file's text in pieces of bounded size, for formats that do not live in lines.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace attune::data {

/// The bytes of a plain or gzip file. A UTF-8 byte order mark is dropped.
class PieceSource {
 public:
  /// @throws Error if the file cannot be opened.
  explicit PieceSource(std::filesystem::path path);
  ~PieceSource();
  PieceSource(PieceSource&&) noexcept;
  PieceSource& operator=(PieceSource&&) noexcept;

  /// The next piece, empty at the end. Valid until the next call.
  /// @throws Error if the disk fails or the gzip data is broken or cut.
  std::string_view next();
  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attune::data
