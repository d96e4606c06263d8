// Prompt and completions of a row, brought into one form: all plain, or all turns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attune/data/preference_group.h"
#include "attune/data/row.h"

namespace attune::data {

/// What a row says of its texts, field by field.
struct GroupParts {
  std::optional<Text> prompt;         ///< Nothing: it is what the sides begin with.
  std::optional<std::string> system;  ///< A system turn that stands in a column of its own.
  std::vector<Text> sides;            ///< The completions, at least one.
  std::vector<std::string> names;     ///< What messages call each side: `"chosen"`.
};

/// The group without its comparisons.
///   - All sides plain, the prompt plain or absent, no system turn: a plain group.
///   - Else a conversational one: a plain prompt is a user's turn, a plain side an assistant's.
///   - Sides that are whole conversations lose the turns of the prompt.
/// @throws RowError  If sides mix text and turns, do not go on from the prompt, begin with another
///                   turn than the assistant's, or are empty.
PreferenceGroup assemble(GroupParts parts, std::string_view where);

}  // namespace attune::data
