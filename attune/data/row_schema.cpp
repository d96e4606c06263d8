#include "attune/data/row_schema.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "attune/core/hint.h"
#include "attune/data/comparisons.h"
#include "attune/data/group_parts.h"
#include "attune/data/row_error.h"
#include "attune/data/row_numbers.h"
#include "attune/io/json.h"

namespace attune::data {
namespace {

using nlohmann::json;

/// More completions than this make more pairs than anybody means: the row is taken for a slip.
constexpr size_t kMaxCompletions = 1024;

std::string quoted(const Row& row, std::string_view field) {
  return fmt::format("\"{}\"", row.column(field));
}

GroupParts parts_of(const Row& row) {
  GroupParts parts;
  parts.prompt = read_prompt(row);
  parts.system = row.word("system");
  return parts;
}

PreferenceGroup two_sides(const Row& row, std::string_view first, std::string_view second) {
  GroupParts parts = parts_of(row);
  for (const std::string_view field : {first, second}) {
    parts.sides.push_back(row.text(field));
    parts.names.push_back(quoted(row, field));
  }
  if (parts.sides[0] == parts.sides[1]) {
    throw RowError(row.where(),
                   fmt::format("{} and {} are identical", parts.names[0], parts.names[1]));
  }
  return assemble(std::move(parts), row.where());
}

PreferenceGroup pair_group(const Row& row, const Columns& columns) {
  PreferenceGroup group = two_sides(row, "chosen", "rejected");
  read_pair_scores(row, columns, group);
  group.comparisons = pair_comparison(row);
  return group;
}

PreferenceGroup verdict_group(const Row& row, const Columns& columns) {
  PreferenceGroup group = two_sides(row, "completion_a", "completion_b");
  group.completions[0].score = row.number("score_a");
  group.completions[1].score = row.number("score_b");
  group.comparisons = verdict_comparisons(row, columns);
  return group;
}

GroupParts completion_parts(const Row& row) {
  const json& list = row.at("completions");
  if (!list.is_array() || list.size() < 2) {
    row.wrong_type("completions", "a list of at least two completions", list);
  }
  if (list.size() > kMaxCompletions) {
    throw RowError(row.where(),
                   fmt::format("more than {} completions", kMaxCompletions),
                   fmt::format(": {}", list.size()));
  }
  GroupParts parts = parts_of(row);
  for (const json& entry : list) {
    parts.names.push_back(fmt::format("completion {}", parts.sides.size()));
    parts.sides.push_back(read_text(row, "completions", entry));
  }
  return parts;
}

void refuse_equal(const std::vector<Text>& sides,
                  const std::vector<Comparison>& comparisons,
                  std::string_view where) {
  for (const Comparison& one : comparisons) {
    if (sides[one.winner] == sides[one.loser]) {
      throw RowError(where,
                     "two completions that are compared are identical",
                     fmt::format(": {} and {}", one.winner, one.loser));
    }
  }
}

PreferenceGroup ranked_group(const Row& row) {
  GroupParts parts = completion_parts(row);
  const size_t K = parts.sides.size();
  std::vector<double> scores;
  if (row.has("scores")) {
    scores = read_numbers(row, "scores", K);
  }
  std::vector<Comparison> comparisons = row.has("winners")   ? index_comparisons(row, K)
                                        : row.has("ranking") ? ranking_comparisons(row, K)
                                                             : score_comparisons(row, scores);
  refuse_equal(parts.sides, comparisons, row.where());
  PreferenceGroup group = assemble(std::move(parts), row.where());
  for (size_t k = 0; k < scores.size(); ++k) {
    group.completions[k].score = scores[k];
  }
  group.comparisons = std::move(comparisons);
  return group;
}

bool read_label(const Row& row) {
  const json& label = row.at("label");
  if (label.is_boolean()) {
    return label.get<bool>();
  }
  if (!label.is_number_integer() || (label != 0 && label != 1)) {
    row.wrong_type("label", "true or false (or 1 or 0)", label);
  }
  return label == 1;
}

/// Prompt and completion, or one conversation that ends with the completion.
PreferenceGroup unpaired_group(const Row& row) {
  GroupParts parts = parts_of(row);
  if (row.has("completion")) {
    parts.sides.push_back(row.text("completion"));
    parts.names.push_back(quoted(row, "completion"));
    if (!parts.prompt) {
      static_cast<void>(row.at("prompt"));
    }
  } else {
    if (!parts.prompt || !parts.prompt->is_turns || parts.prompt->turns.size() < 2) {
      static_cast<void>(row.at("completion"));
    }
    parts.sides.push_back({true, "", {parts.prompt->turns.back()}});
    parts.names.emplace_back("the last turn");
    parts.prompt->turns.pop_back();
  }
  PreferenceGroup group = assemble(std::move(parts), row.where());
  group.completions[0].label = read_label(row);
  group.completions[0].label_weight = read_weight(row);
  if (const json* score = row.find("score"); score != nullptr && score->is_number()) {
    group.completions[0].score = row.number("score");
  }
  return group;
}

[[noreturn]] void no_preference(const Row& row) {
  constexpr std::array<std::string_view, 5> kFields = {
      "chosen", "rejected", "completions", "completion", "label"};
  std::string list;
  std::string hint;
  for (const std::string& column : row.column_names()) {
    if (list.size() < 200) {
      list += (list.empty() ? "" : ", ") + column;
    }
    if (hint.empty()) {
      hint = did_you_mean(column, kFields);
    }
  }
  throw RowError(row.where(),
                 "no preference in the row",
                 fmt::format(": expected chosen and rejected, completions with scores, or "
                             "completion and label; it has {}.{} Other names are mapped by "
                             "data.columns, as in chosen: answer_a",
                             list.empty() ? "nothing" : list,
                             hint));
}

PreferenceGroup recognise(const Row& row, const Columns& columns) {
  if (row.has("chosen") || row.has("rejected")) {
    return pair_group(row, columns);
  }
  if (row.has("completion_a") || row.has("completion_b")) {
    return verdict_group(row, columns);
  }
  if (row.has("completions")) {
    const bool compared = row.has("winners") || row.has("ranking") || row.has("scores");
    if (!compared) {
      throw RowError(row.where(),
                     "completions without scores, ranking, or winners and losers",
                     ": nothing says which is better");
    }
    return ranked_group(row);
  }
  if (row.has("label")) {
    return unpaired_group(row);
  }
  no_preference(row);
}

void read_tags(const Row& row, const Columns& columns, PreferenceGroup& group) {
  for (const std::string_view tag : {"task", "source", "type"}) {
    const json* value = row.find(tag);
    // A column that merely has the name of a tag may hold anything; a mapped one is meant.
    if (value != nullptr && (columns.mapped(tag) || value->is_string())) {
      group.tags.emplace(tag, *row.word(tag));
    }
  }
}

/// What the columns of a value are called after, one a completion; empty: one column holds all.
std::vector<std::string_view> sides_of(const Row& row) {
  using Sides = std::vector<std::string_view>;
  if (row.has("chosen") || row.has("rejected")) {
    return Sides{"chosen", "rejected"};
  }
  return row.has("completion_a") || row.has("completion_b") ? Sides{"a", "b"} : Sides{};
}

}  // namespace

PreferenceGroup RowSchema::group_of(const json& object, std::string_view where) const {
  const Row row(object, where, columns_);
  PreferenceGroup group = recognise(row, columns_);
  read_tags(row, columns_, group);
  for (const std::string& name : values_) {
    read_values(row, name, sides_of(row), group);
  }
  if (!tag_.empty()) {
    group.tag = read_tag(row, tag_);
  }
  return group;
}

}  // namespace attune::data
