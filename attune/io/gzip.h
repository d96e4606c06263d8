// Text files, plain or gzip, read line by line in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attune::io {

/// True if the bytes begin as a gzip file does.
bool is_gzip(std::span<const std::byte> bytes);

/// Limits of a TextSource.
struct TextSourceLimits {
  /// Longest line, in bytes; a longer one is an Error naming its number.
  size_t max_line_bytes = size_t{64} << 20;
  /// Most bytes that read_all() gives, after decompression.
  size_t max_total_bytes = size_t{4} << 30;
};

/// A text file of lines. Whether it is gzip (also of several members) is read off its first bytes,
/// not its name. A UTF-8 byte order mark at the start is dropped.
class TextSource {
 public:
  /// @throws Error if the file cannot be opened.
  explicit TextSource(std::filesystem::path path, TextSourceLimits limits = {});
  ~TextSource();
  TextSource(TextSource&&) noexcept;
  TextSource& operator=(TextSource&&) noexcept;

  /// The next line without its "\n" or "\r\n", or nothing at the end. Valid until the next call.
  /// A last line without a newline is a line.
  /// @throws Error naming file and offset if the gzip data is broken or cut, or file and line if
  /// the line is too long.
  std::optional<std::string_view> next_line();
  /// Number of the line that next_line() gave last, from 1; 0 before the first.
  [[nodiscard]] int64_t line_number() const;
  /// Everything that was not read yet, newlines as they are.
  std::string read_all();
  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attune::io
