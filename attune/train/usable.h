// Which groups of the data an objective can learn from.
#pragma once

#include <cstdint>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/objective/kinds.h"

namespace attune::train {

/// Takes out of `groups` what no term can learn from, and says how many they were: a labelled
/// completion where all terms want comparisons, an unsure comparison where all want rankings.
///
/// Warns where a term over labels gets those of one side only, with `all`.
///
/// @param groups  Indices into the cache.
/// @param all     Whether every term must find something: true for training.
/// @throws Error  If a term finds nothing, or labels of one side only and it needs both, or a group
///                that it learns from lacks the scores that it needs; the message names the term, a
///                row and the columns.
void keep_usable(const std::vector<objective::TermOptions>& terms,
                 const data::TokenCache& cache,
                 std::vector<int64_t>& groups,
                 bool all,
                 Watcher& watcher);

}  // namespace attune::train
