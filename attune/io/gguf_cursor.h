// The next number or text of a GGUF file, never from beyond its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "attune/core/error.h"
#include "attune/io/gguf.h"

namespace attune::io {

/// The largest integer that attune holds.
inline constexpr auto kMaxInt = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

/// Walks over a file's bytes; whatever it gives out was there. `what` is what is read, for
/// messages.
class GgufCursor {
 public:
  /// `where` is the file's path.
  GgufCursor(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  /// Bytes before the cursor.
  [[nodiscard]] uint64_t at() const {
    return at_;
  }
  /// Bytes behind it.
  [[nodiscard]] uint64_t left() const {
    return bytes_.size() - at_;
  }
  /// The file's path.
  [[nodiscard]] const std::string& where() const {
    return where_;
  }

  /// The next number. @throws Error if the file ends before.
  template <class T>
  T take(const std::string& what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  /// The next text, preceded by its length. @throws Error if that is more than what is left.
  std::string take_string(const std::string& what) {
    const uint64_t start = at_;
    const auto length = take<uint64_t>(what);
    check(length <= left(),
          "{}: {} at byte {} claims a length of {} bytes, but only {} are left",
          where_,
          what,
          start,
          length,
          left());
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
    at_ += length;
    return text;
  }

  /// The next number, which counts things that take at least `each` bytes.
  /// @throws Error if so many cannot follow.
  uint64_t take_count(uint64_t each, const std::string& what) {
    const auto count = take<uint64_t>(what);
    check_count(count, each, what);
    return count;
  }

  /// @throws Error unless `count` things of at least `each` bytes can follow.
  void check_count(uint64_t count, uint64_t each, const std::string& what) const {
    check(count <= left() / each,
          "{}: {}: a count of {} needs at least {} bytes each, but only {} bytes are left",
          where_,
          what,
          count,
          each,
          left());
  }

 private:
  void need(uint64_t count, const std::string& what) const {
    check(count <= left(),
          "{}: the file ends at byte {} inside {}. Is the download complete?",
          where_,
          bytes_.size(),
          what);
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  uint64_t at_ = 0;
};

/// The next metadata value with its type. @throws Error if it is cut off, of no known type, or an
/// array of more than four levels.
GgufValue take_gguf_value(GgufCursor& cursor, const std::string& what);

}  // namespace attune::io
