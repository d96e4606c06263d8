// Content hashes (XXH3, 128 bit) for cache keys and checksums. Not for secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace attune {

/// Hashes a sequence of values; every value is preceded by its length, so that ("ab", "c") and
/// ("a", "bc") differ.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& add(std::span<const std::byte> bytes);
  Hasher& add(std::string_view text);
  Hasher& add(int64_t value);
  Hasher& add(double value);
  /// 32 lower-case hexadecimal digits.
  [[nodiscard]] std::string hex() const;
  [[nodiscard]] uint64_t word() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string hash_hex(std::string_view bytes);
/// The hash of a file's content, read in pieces. @throws Error if it cannot be read.
std::string hash_file(const std::filesystem::path& path);

}  // namespace attune
