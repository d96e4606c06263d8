// log pi_ref(y|x): what the policy is compared with.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/model/decoder.h"
#include "attune/objective/scores.h"
#include "attune/train/batch.h"

namespace attune::train {

/// A frozen model's log-probs; never carries gradients.
class Reference {
 public:
  virtual ~Reference() = default;
  virtual objective::SequenceLogps logps(const PreferenceBatch& batch) = 0;
};

/// The policy's own weights with the adapter off. `model` must outlive it.
std::unique_ptr<Reference> base_reference(const model::Decoder& model);

/// Another model, kept whole.
std::unique_ptr<Reference> model_reference(std::unique_ptr<model::Decoder> model);

/// For objectives that need none: undefined tensors.
std::unique_ptr<Reference> no_reference();

/// Where a table of reference log-probs lives, and what it must belong to.
struct ReferenceTable {
  std::filesystem::path file;
  std::string key;  ///< Hash of weights, precision and token cache: another key, another table.
};

/// log pi_ref of every completion of `cache`, from the file if its key fits, else computed by
/// `model` with its adapters off, `max_tokens` packed tokens at once, and written. A computation
/// that is killed goes on where it was: the table is saved every half minute.
///
/// @return  one list a group, one number a completion, nats.
/// @throws Error if the file cannot be written. @throws Stopped if a stop was asked for.
std::vector<std::vector<double>> reference_table(const ReferenceTable& table,
                                                 const model::Decoder& model,
                                                 const data::TokenCache& cache,
                                                 int64_t max_tokens,
                                                 Watcher& watcher);

/// A reference that looks up `table` by the groups' index in the data set.
std::unique_ptr<Reference> cached_reference(std::vector<std::vector<double>> table);

/// Asks `inner` once for each group and remembers, for pairs that are scored again and again.
std::unique_ptr<Reference> remembering_reference(Reference& inner);

/// Thrown when work ends early because a stop was asked for; everything worth keeping is saved.
struct Stopped {};

}  // namespace attune::train
