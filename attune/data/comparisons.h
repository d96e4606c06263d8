// The comparisons of a row, however they are written.
#pragma once

#include <vector>

#include "attune/data/preference_group.h"
#include "attune/data/row.h"

namespace attune::data {

/// One comparison of completion 0 over completion 1, with the row's probability, weight, annotator.
std::vector<Comparison> pair_comparison(const Row& row);

/// One comparison for each column of `preferred`. A tie has probability 0.5.
std::vector<Comparison> verdict_comparisons(const Row& row, const Columns& columns);

/// Every pair of `count` completions whose scores differ; sets nothing else.
/// @throws RowError  If the list is not as long as the completions, or all scores are equal.
std::vector<Comparison> score_comparisons(const Row& row, const std::vector<double>& scores);

/// Every pair of the ranking, `count` (count - 1) / 2 of them.
std::vector<Comparison> ranking_comparisons(const Row& row, size_t count);

/// The row's weight of one comparison or label, 1 if it has none.
/// @throws RowError  If it is no number, below 0 or beyond 1e9.
double read_weight(const Row& row);

/// The index pairs of winners and losers.
std::vector<Comparison> index_comparisons(const Row& row, size_t count);

/// A field that lists `count` numbers. @throws RowError for another length or type.
std::vector<double> read_numbers(const Row& row, std::string_view field, size_t count);

}  // namespace attune::data
