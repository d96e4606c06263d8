// A JSON array of objects, however it is broken into lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "attune/data/piece_source.h"
#include "attune/data/reader.h"
#include "attune/data/row_schema.h"

namespace attune::data {

/// Reads a JSON array, plain or gzip, element by element: only one row is in memory, also when the
/// whole array is one line. A row may be 64 MiB long.
class JsonArrayReader : public Reader {
 public:
  JsonArrayReader(const std::filesystem::path& path, const DataOptions& options)
      : source_(path), schema_(options) {}
  std::optional<PreferenceGroup> next() override;

 private:
  enum class Expect { kArray, kFirstRow, kRow, kComma, kNothing };

  /// The next byte without taking it; nothing at the end of the file.
  std::optional<char> peek();
  /// The next byte that is no white space, without taking it.
  std::optional<char> peek_token();
  void take();
  /// Takes an object that begins here into row_. @throws Error if the file ends within.
  void take_object();
  /// Takes what stands between rows; false at the end of the array.
  bool come_to_row();
  [[nodiscard]] std::string place() const;

  PieceSource source_;
  RowSchema schema_;
  std::string_view piece_;  ///< What is left of the source's piece.
  std::string row_;         ///< Text of the row that was taken last.
  Expect expect_ = Expect::kArray;
  int64_t line_ = 1;
  int64_t num_rows_ = 0;  ///< Rows begun.
};

}  // namespace attune::data
