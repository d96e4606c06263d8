#include "attune/data/comparisons.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "attune/data/row_error.h"
#include "attune/text/unicode.h"

namespace attune::data {
namespace {

using nlohmann::json;

const json& list_at(const Row& row, std::string_view field) {
  const json& list = row.at(field);
  if (!list.is_array()) {
    row.wrong_type(field, "a list", list);
  }
  return list;
}

[[noreturn]] void wrong_length(const Row& row, std::string_view field, size_t got, size_t want) {
  throw RowError(row.where(),
                 fmt::format("field \"{}\" has a wrong length", row.column(field)),
                 fmt::format(": expected {} entries, got {}", want, got));
}

double checked(const Row& row, std::string_view field, double value) {
  const double most = field == "probability" ? 1.0 : 1e9;
  if (!(value >= 0.0 && value <= most)) {
    throw RowError(row.where(),
                   fmt::format("field \"{}\" must be 0 to {}", row.column(field), most),
                   fmt::format(", got {}", value));
  }
  return value;
}

/// One value for all comparisons, or a list with one for each.
void read_values(const Row& row,
                 std::string_view field,
                 std::vector<Comparison>& all,
                 double Comparison::*member) {
  const json* value = row.find(field);
  if (value == nullptr) {
    return;
  }
  std::vector<double> numbers;
  if (value->is_array()) {
    numbers = read_numbers(row, field, all.size());
  } else {
    numbers.assign(all.size(), *row.number(field));
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].*member = checked(row, field, numbers[i]);
  }
}

void read_annotators(const Row& row, std::vector<Comparison>& all) {
  const json* value = row.find("annotator");
  if (value == nullptr) {
    return;
  }
  if (!value->is_array()) {
    for (Comparison& one : all) {
      one.annotator = *row.word("annotator");
    }
    return;
  }
  if (value->size() != all.size()) {
    wrong_length(row, "annotator", value->size(), all.size());
  }
  for (size_t i = 0; i < all.size(); ++i) {
    const json& name = (*value)[i];
    if (!name.is_string() && !name.is_number_integer()) {
      row.wrong_type("annotator", "a list of texts or whole numbers", name);
    }
    all[i].annotator = name.is_string() ? name.get<std::string>() : name.dump();
  }
}

std::vector<Comparison> with_values(const Row& row, std::vector<Comparison> all) {
  read_values(row, "probability", all, &Comparison::probability);
  read_values(row, "weight", all, &Comparison::weight);
  read_annotators(row, all);
  return all;
}

std::vector<int32_t> read_indices(const Row& row, std::string_view field, size_t count) {
  std::vector<int32_t> indices;
  for (const json& entry : list_at(row, field)) {
    if (!entry.is_number_integer()) {
      row.wrong_type(field, "a list of whole numbers", entry);
    }
    // Unsigned values beyond int64 wrap to negative ones and fail the same test.
    const auto index = entry.get<int64_t>();
    if (index < 0 || index >= static_cast<int64_t>(count)) {
      throw RowError(row.where(),
                     fmt::format("field \"{}\" points at no completion", row.column(field)),
                     fmt::format(": expected 0 to {}, got {}", count - 1, entry.dump()));
    }
    indices.push_back(static_cast<int32_t>(index));
  }
  return indices;
}

/// 1 for the first completion, 2 for the second, 0 for a tie.
int read_verdict(const Row& row, const std::string& column, const json& value) {
  if (value.is_number_integer()) {
    const auto verdict = value.get<int64_t>();
    if (verdict >= 0 && verdict <= 2) {
      return static_cast<int>(verdict);
    }
  }
  if (value.is_string()) {
    const std::string word = text::lower_case(value.get_ref<const std::string&>());
    for (const auto& [name, verdict] : {std::pair{"tie", 0}, {"a", 1}, {"b", 2}}) {
      if (word == name || word == std::to_string(verdict)) {
        return verdict;
      }
    }
    for (const auto& [field, verdict] : {std::pair{"completion_a", 1}, {"completion_b", 2}}) {
      if (value == row.column(field)) {
        return verdict;
      }
    }
  }
  throw RowError(row.where(),
                 fmt::format("field \"{}\" must be 1, 2 or 0 (a tie), or a, b or tie", column),
                 fmt::format(", got {}", value.dump().substr(0, 80)));
}

}  // namespace

std::vector<double> read_numbers(const Row& row, std::string_view field, size_t count) {
  const json& list = list_at(row, field);
  if (list.size() != count) {
    wrong_length(row, field, list.size(), count);
  }
  std::vector<double> numbers;
  for (const json& entry : list) {
    if (!entry.is_number()) {
      row.wrong_type(field, "a list of numbers", entry);
    }
    numbers.push_back(read_number(row, row.column(field), entry));
  }
  return numbers;
}

double read_weight(const Row& row) {
  const std::optional<double> weight = row.number("weight");
  return weight ? checked(row, "weight", *weight) : 1.0;
}

std::vector<Comparison> pair_comparison(const Row& row) {
  return with_values(row, {Comparison{}});
}

std::vector<Comparison> verdict_comparisons(const Row& row, const Columns& columns) {
  std::vector<Comparison> all;
  std::string_view rest = columns.of("preferred").front();
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string column(text::python_strip(rest.substr(0, comma)));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const json& value = row.at_column("preferred", column);
    const int verdict = read_verdict(row, column, value);
    Comparison one;
    one.winner = verdict == 2 ? 1 : 0;
    one.loser = 1 - one.winner;
    one.probability = verdict == 0 ? 0.5 : 1.0;
    one.annotator = columns.mapped("preferred") ? column : "";
    all.push_back(one);
  }
  if (row.has("probability")) {
    throw RowError(row.where(), "a verdict and a probability in one row");
  }
  read_values(row, "weight", all, &Comparison::weight);
  read_annotators(row, all);
  return all;
}

std::vector<Comparison> score_comparisons(const Row& row, const std::vector<double>& scores) {
  std::vector<Comparison> all;
  const auto K = static_cast<int32_t>(scores.size());
  for (int32_t a = 0; a < K; ++a) {
    for (int32_t b = a + 1; b < K; ++b) {
      if (scores[a] != scores[b]) {
        Comparison one;
        one.winner = scores[a] > scores[b] ? a : b;
        one.loser = scores[a] > scores[b] ? b : a;
        all.push_back(one);
      }
    }
  }
  if (all.empty()) {
    throw RowError(row.where(), "all scores are equal: there is nothing to compare");
  }
  return with_values(row, std::move(all));
}

std::vector<Comparison> ranking_comparisons(const Row& row, size_t count) {
  const std::vector<int32_t> best_first = read_indices(row, "ranking", count);
  std::vector<int32_t> sorted = best_first;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.size() != count || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw RowError(row.where(),
                   fmt::format("field \"{}\" must name every completion once, best first",
                               row.column("ranking")));
  }
  std::vector<Comparison> all;
  for (size_t a = 0; a < count; ++a) {
    for (size_t b = a + 1; b < count; ++b) {
      Comparison one;
      one.winner = best_first[a];
      one.loser = best_first[b];
      all.push_back(one);
    }
  }
  return with_values(row, std::move(all));
}

std::vector<Comparison> index_comparisons(const Row& row, size_t count) {
  const std::vector<int32_t> winners = read_indices(row, "winners", count);
  const std::vector<int32_t> losers = read_indices(row, "losers", count);
  if (winners.size() != losers.size()) {
    wrong_length(row, "losers", losers.size(), winners.size());
  }
  std::vector<Comparison> all;
  for (size_t i = 0; i < winners.size(); ++i) {
    if (winners[i] == losers[i]) {
      throw RowError(row.where(),
                     "an index pair compares a completion with itself",
                     fmt::format(": {}", winners[i]));
    }
    Comparison one;
    one.winner = winners[i];
    one.loser = losers[i];
    all.push_back(one);
  }
  if (all.empty()) {
    throw RowError(row.where(), "the row has no index pair: there is nothing to compare");
  }
  return with_values(row, std::move(all));
}

}  // namespace attune::data
