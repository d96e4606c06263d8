// What a row says: the forms of preference data that attune knows, recognised row by row.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "attune/data/options.h"
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
/// index pair), weight of the label of an unpaired row, system, and the tags task, source and type.
/// Scores are score_chosen and score_rejected of a pair, or margin, their difference; score_a and
/// score_b of a verdict; scores of a ranking; score of an unpaired row. Then the columns that
/// options.values and options.tag name.
class RowSchema {
 public:
  /// Reads options.columns, values and tag. @throws Error for an unknown field in columns.
  explicit RowSchema(const DataOptions& options)
      : columns_(options.columns), values_(options.values), tag_(options.tag) {}

  /// @param where  "file:line" of the row.
  /// @throws RowError  If the row is none of these, lacks a field, has one of a wrong type,
  /// compares
  ///                   equal completions or holds an empty one.
  [[nodiscard]] PreferenceGroup group_of(const nlohmann::json& row, std::string_view where) const;

 private:
  Columns columns_;
  std::vector<std::string> values_;
  std::string tag_;
};

}  // namespace attune::data
