#include "attune/data/json_array_reader.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/data/json_row.h"

namespace attune::data {
namespace {

constexpr size_t kMaxRowBytes = size_t{64} << 20;

/// Printable, for messages.
std::string shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f ? fmt::format("\"{}\"", c) : fmt::format("0x{:02x}", byte);
}

}  // namespace

std::optional<char> JsonArrayReader::peek() {
  if (piece_.empty()) {
    piece_ = source_.next();
  }
  return piece_.empty() ? std::nullopt : std::optional(piece_.front());
}

void JsonArrayReader::take() {
  line_ += piece_.front() == '\n' ? 1 : 0;
  piece_.remove_prefix(1);
}

std::optional<char> JsonArrayReader::peek_token() {
  for (;;) {
    const std::optional<char> c = peek();
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      return c;
    }
    take();
  }
}

std::string JsonArrayReader::place() const {
  return fmt::format("{}:{}", source_.path().string(), line_);
}

bool JsonArrayReader::come_to_row() {
  for (;;) {
    const std::optional<char> c = peek_token();
    if (expect_ == Expect::kNothing) {
      check(!c, "{}: {} stands behind the array", place(), c ? shown(*c) : "");
      return false;
    }
    check(c.has_value(),
          "{}: the array is not closed after {} rows; the file may be cut",
          place(),
          num_rows_);
    if (expect_ == Expect::kArray) {
      check(c == '[', "{}: expected a JSON array, got {}", place(), shown(*c));
      take();
      expect_ = Expect::kFirstRow;
    } else if (c == ']' && expect_ != Expect::kRow) {
      take();
      expect_ = Expect::kNothing;
    } else if (expect_ == Expect::kComma) {
      check(c == ',',
            "{}: expected a comma or the end of the array after row {}, got {}",
            place(),
            num_rows_,
            shown(*c));
      take();
      expect_ = Expect::kRow;
    } else {
      check(c == '{', "{}: row {} must be an object, got {}", place(), num_rows_ + 1, shown(*c));
      return true;
    }
  }
}

void JsonArrayReader::take_object() {
  const std::string begin = place();
  row_.clear();
  int64_t depth = 0;
  bool in_text = false;
  bool escaped = false;
  do {
    check(peek().has_value(), "{}: row {} is not closed; the file may be cut", begin, num_rows_);
    size_t size = 0;
    for (; size < piece_.size(); ++size) {
      const char c = piece_[size];
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = in_text;
      } else if (c == '"') {
        in_text = !in_text;
      } else if (!in_text && (c == '{' || c == '[')) {
        ++depth;
      } else if (!in_text && (c == '}' || c == ']') && --depth == 0) {
        ++size;
        break;
      }
    }
    check(row_.size() + size <= kMaxRowBytes,
          "{}: row {} is longer than {} bytes",
          begin,
          num_rows_,
          kMaxRowBytes);
    row_.append(piece_.substr(0, size));
    line_ += std::count(piece_.begin(), piece_.begin() + size, '\n');
    piece_.remove_prefix(size);
  } while (depth > 0);
}

std::optional<PreferenceGroup> JsonArrayReader::next() {
  if (!come_to_row()) {
    return std::nullopt;
  }
  ++num_rows_;
  const std::string where = fmt::format("{} (row {})", place(), num_rows_);
  take_object();
  expect_ = Expect::kComma;
  return schema_.group_of(parse_row(row_, where), where);
}

}  // namespace attune::data
