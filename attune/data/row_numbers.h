// The numbers and the tag that a row has beside its texts and comparisons.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "attune/data/preference_group.h"
#include "attune/data/row.h"

namespace attune::data {

/// Scores of a pair: score_chosen and score_rejected; where there is neither, a number in margin
/// stands for (margin, 0), since scores are compared within a group only.
/// @throws RowError for a score that is no number.
void read_pair_scores(const Row& row, const Columns& columns, PreferenceGroup& group);

/// Value `name` of every completion. With `sides` it is looked for in a column a side,
/// <name>_<side> or <side>_<name>; then, and for other rows, in the column <name>: a list with a
/// number for each completion, or a number where there is one completion.
/// @throws RowError if a completion has none, or one that is no number; it names the column.
void read_values(const Row& row,
                 const std::string& name,
                 std::span<const std::string_view> sides,
                 PreferenceGroup& group);

/// The tag in `column`: a text, a whole number, true or false.
/// @throws RowError if there is none, it is empty or of another type.
std::string read_tag(const Row& row, const std::string& column);

}  // namespace attune::data
