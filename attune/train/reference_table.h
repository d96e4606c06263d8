// log pi_ref of a data set, computed once and kept in a file.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/model/decoder.h"
#include "attune/train/reference.h"

namespace attune::train {

/// Where a table of reference log-probs lives, and what it must belong to.
struct ReferenceTable {
  std::filesystem::path file;
  std::string key;  ///< Hash of weights, precision, token cache and `tokens`: another key, another
                    ///< table.
  bool tokens = false;  ///< Each token's log-prob too.
};

/// log pi_ref by group of a token cache, nats; NaN where nobody asked for it.
struct ReferenceLogps {
  std::vector<std::vector<double>> sums;  ///< A number for each completion.
  /// A number for each token of the group's completions, one completion after the other; empty
  /// unless they were asked for. f32: what the models that made them resolve, at half the memory.
  std::vector<std::vector<float>> tokens;
};

/// log pi_ref of every completion of some groups of `cache`, from the file if its key fits, else
/// computed by `model` with its adapters off, `max_tokens` packed tokens at once, and written. A
/// computation that is killed goes on where it was: the table is saved every half minute. What the
/// file has of other groups is kept.
///
/// @param groups  Those that are asked for, ascending, each once.
/// @throws Error if the file cannot be written. @throws Stopped if a stop was asked for.
ReferenceLogps reference_table(const ReferenceTable& table,
                               const model::Decoder& model,
                               const data::TokenCache& cache,
                               std::span<const int64_t> groups,
                               int64_t max_tokens,
                               Watcher& watcher);

/// A reference that looks up `table` by the groups' index in the data set.
std::unique_ptr<Reference> cached_reference(ReferenceLogps table);

}  // namespace attune::train
