#include "attune/data/row_numbers.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "attune/core/hint.h"
#include "attune/data/row_error.h"
#include "attune/io/json.h"

namespace attune::data {
namespace {

using nlohmann::json;

[[noreturn]] void missing(const Row& row, const std::string& column, std::string_view option) {
  const std::vector<std::string> names = row.column_names();
  const bool is_null = std::find(names.begin(), names.end(), column) != names.end();
  const std::string hint = is_null ? "" : did_you_mean(column, names);
  throw RowError(row.where(),
                 fmt::format("field \"{}\" is missing (data.{})", column, option),
                 is_null        ? ": it is null"
                 : hint.empty() ? ""
                                : "." + hint);
}

/// The numbers of a column that holds those of all completions.
std::vector<double> read_all(const Row& row,
                             const std::string& column,
                             const json& value,
                             size_t count) {
  if (!value.is_array()) {
    const double number = read_number(row, column, value);
    if (count != 1) {
      throw RowError(row.where(),
                     fmt::format("field \"{}\" must be a list of numbers", column),
                     fmt::format(": {} completions, and one number", count));
    }
    return {number};
  }
  if (value.size() != count) {
    throw RowError(row.where(),
                   fmt::format("field \"{}\" has a wrong length", column),
                   fmt::format(": expected {} entries, got {}", count, value.size()));
  }
  std::vector<double> numbers;
  for (const json& entry : value) {
    numbers.push_back(read_number(row, column, entry));
  }
  return numbers;
}

}  // namespace

void read_pair_scores(const Row& row, const Columns& columns, PreferenceGroup& group) {
  Completion& chosen = group.completions[0];
  Completion& rejected = group.completions[1];
  chosen.score = row.number("score_chosen");
  rejected.score = row.number("score_rejected");
  const json* margin = row.find("margin");
  // A column that merely has that name may hold anything; a mapped one is meant.
  const bool meant = margin != nullptr && (margin->is_number() || columns.mapped("margin"));
  if (meant && !chosen.score && !rejected.score) {
    chosen.score = row.number("margin");
    rejected.score = 0;
  }
}

void read_values(const Row& row,
                 const std::string& name,
                 std::span<const std::string_view> sides,
                 PreferenceGroup& group) {
  const json* all = row.find_column(name);
  std::string absent = sides.empty() ? name : "";  // the column to ask for
  for (size_t k = 0; k < sides.size(); ++k) {
    const std::string usual = fmt::format("{}_{}", name, sides[k]);
    const std::string turned = fmt::format("{}_{}", sides[k], name);
    const std::string& column = row.find_column(usual) != nullptr ? usual : turned;
    if (const json* value = row.find_column(column)) {
      group.completions[k].values[name] = read_number(row, column, *value);
      all = nullptr;
    } else if (absent.empty()) {
      absent = usual;
    }
  }
  if (all != nullptr) {
    const std::vector<double> numbers = read_all(row, name, *all, group.completions.size());
    for (size_t k = 0; k < numbers.size(); ++k) {
      group.completions[k].values[name] = numbers[k];
    }
  } else if (!absent.empty()) {
    missing(row, absent, "values");
  }
}

std::string read_tag(const Row& row, const std::string& column) {
  const json* value = row.find_column(column);
  if (value == nullptr) {
    missing(row, column, "tag");
  }
  if (value->is_number_integer() || value->is_boolean()) {
    return value->dump();
  }
  if (!value->is_string()) {
    throw RowError(row.where(),
                   fmt::format("field \"{}\" must be text or a whole number (data.tag)", column),
                   fmt::format(", got {}", io::json_type(*value)));
  }
  if (value->get_ref<const std::string&>().empty()) {
    throw RowError(row.where(), fmt::format("field \"{}\" is empty (data.tag)", column));
  }
  return value->get<std::string>();
}

}  // namespace attune::data
