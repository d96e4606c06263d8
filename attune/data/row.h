// The fields of one row, by attune's names, with errors that name file, line, field and slip.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "attune/text/chat_template.h"

namespace attune::data {

/// Which column of a file holds which field: attune's own names, their usual other names, and what
/// the user maps.
class Columns {
 public:
  /// @param mapping  attune's name -> the file's column, as in the run file.
  /// @throws Error   If a name is not attune's.
  explicit Columns(const std::map<std::string, std::string>& mapping);

  /// Columns that may hold `field`, the most likely first. A mapped field has only its own.
  [[nodiscard]] const std::vector<std::string>& of(std::string_view field) const;
  /// Whether `column` holds a field without a mapping: it is no slip for another.
  [[nodiscard]] bool is_known(std::string_view column) const;
  /// Whether the user mapped `field`.
  [[nodiscard]] bool mapped(std::string_view field) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> candidates_;
  std::map<std::string, std::string> mapping_;
};

/// A text that is either plain or a conversation.
struct Text {
  bool is_turns = false;
  std::string plain;
  std::vector<text::Message> turns;

  bool operator==(const Text& other) const;
};

/// A view of one row.
class Row {
 public:
  Row(const nlohmann::json& object, std::string_view where, const Columns& columns)
      : object_(object), where_(where), columns_(columns) {}

  /// The value of a field; nullptr if the row has none, or null.
  [[nodiscard]] const nlohmann::json* find(std::string_view field) const;
  [[nodiscard]] bool has(std::string_view field) const {
    return find(field) != nullptr;
  }
  /// The value of a field that must be there. @throws RowError with the nearest column.
  [[nodiscard]] const nlohmann::json& at(std::string_view field) const;
  /// The value in one column of a field that is spread over several.
  [[nodiscard]] const nlohmann::json& at_column(std::string_view field,
                                                const std::string& name) const;
  /// The value in a column of the file, whatever the mapping; nullptr if there is none, or null.
  [[nodiscard]] const nlohmann::json* find_column(const std::string& name) const;
  /// The column that holds a field, or the one that should.
  [[nodiscard]] const std::string& column(std::string_view field) const;

  /// The field as plain text or turns. @throws RowError for another type, an unknown role, ...
  [[nodiscard]] Text text(std::string_view field) const;
  [[nodiscard]] std::optional<std::string> word(std::string_view field) const;
  /// @throws RowError also for a number beyond what a float holds.
  [[nodiscard]] std::optional<double> number(std::string_view field) const;

  /// @throws RowError always: `field "chosen" must be text, got a number`.
  [[noreturn]] void wrong_type(std::string_view field,
                               std::string_view expected,
                               const nlohmann::json& got) const;
  [[nodiscard]] std::string_view where() const {
    return where_;
  }
  /// The names of all columns of the row, cut to a length that fits a message.
  [[nodiscard]] std::vector<std::string> column_names() const;

 private:
  const nlohmann::json& object_;
  std::string_view where_;
  const Columns& columns_;
};

/// `value` as a number that a float holds; `column` is what messages call it.
/// @throws RowError for anything else.
double read_number(const Row& row, std::string_view column, const nlohmann::json& value);

/// The prompt's field, nothing if the row has none; Alpaca's "input" follows the "instruction"
/// after a blank line.
std::optional<Text> read_prompt(const Row& row);

/// `value` as text or turns; `field` is what messages call it. For lists of such values.
Text read_text(const Row& row, std::string_view field, const nlohmann::json& value);

}  // namespace attune::data
