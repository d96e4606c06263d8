// What a row says: the forms of preference data that attune knows, recognised row by row.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "attune/data/preference_group.h"
#include "attune/data/row.h"

namespace attune::data {

/// Turns rows into groups. A row is, in this order:
///   pair      chosen and rejected (text or turns), with prompt or without
///   verdict   completion_a, completion_b and preferred: 1, 2 or 0 for a tie (also "a", "b",
///   "tie");
///             several columns with commas between, "rater1, rater2", are several annotators
///   ranked    prompt and completions, with scores (every pair that differs), ranking (indices,
///   best
///             first), or winners and losers (index pairs: yw_idxs, yl_idxs)
///   unpaired  prompt, completion and label; or turns that end with the completion, and label
/// Beside them: probability, weight and annotator of the comparisons (one value, or one for each
/// index pair), score_chosen and score_rejected, system, and the tags task, source and type.
class RowSchema {
 public:
  /// @param mapping  attune's field -> the file's column. @throws Error for an unknown field.
  explicit RowSchema(const std::map<std::string, std::string>& mapping) : columns_(mapping) {}

  /// @param where  "file:line" of the row.
  /// @throws RowError  If the row is none of these, lacks a field, has one of a wrong type,
  /// compares
  ///                   equal completions or holds an empty one.
  [[nodiscard]] PreferenceGroup group_of(const nlohmann::json& row, std::string_view where) const;

 private:
  Columns columns_;
};

}  // namespace attune::data
